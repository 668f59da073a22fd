"""The native libraries of an APK, checked as a phone's loader would check them, and against their pinned hashes."""

from __future__ import annotations

import struct
import sys
import zipfile

from aar import PINS, DiffersError, require
from layout import ABIS, PAGE_BYTES, RUNTIME_AAR, has_runtime

ELF_64_LITTLE = b"\x7fELF\x02\x01"
SEGMENT_LOAD = 1


def libraries(abi: str) -> list[tuple[str, bytes]]:
    """Name and content of ONNX Runtime's libraries for ``abi``; none when the runtime is not there.

    Ends the build unless they are the pinned ones, whoever put the AAR there.
    """
    if not has_runtime():
        return []
    prefix = f"jni/{abi}/"
    with zipfile.ZipFile(RUNTIME_AAR) as opened:
        members = [name for name in opened.namelist() if name.startswith(prefix) and name.endswith(".so")]
        found = [(name.removeprefix(prefix), opened.read(name)) for name in sorted(members)]
    pinned = {name.removeprefix(prefix): value for name, value in PINS["members"].items() if name.startswith(prefix)}
    if {name for name, _ in found} != set(pinned):
        sys.exit(f"{RUNTIME_AAR} has other libraries for {abi} than {', '.join(sorted(pinned))}")
    for name, content in found:
        require_loadable(name, content, abi)
        try:
            require(f"{prefix}{name} of {RUNTIME_AAR}", content, pinned[name])
        except DiffersError as error:
            sys.exit(f"error: {error}")
    return found


def require_loadable(name: str, content: bytes, abi: str) -> None:
    """Ends the build unless the library is for ``abi`` and its segments may lie on pages of 16 KB."""
    if not content.startswith(ELF_64_LITTLE) or struct.unpack_from("<H", content, 18)[0] != ABIS[abi]:
        sys.exit(f"{name} is no library for {abi}")
    (table,) = struct.unpack_from("<Q", content, 32)
    size, count = struct.unpack_from("<HH", content, 54)
    for index in range(count):
        start = table + index * size
        (kind,) = struct.unpack_from("<I", content, start)
        (alignment,) = struct.unpack_from("<Q", content, start + 48)
        if kind == SEGMENT_LOAD and alignment % PAGE_BYTES:
            sys.exit(f"{name} has a segment aligned to {alignment:,} bytes, not to {PAGE_BYTES:,}")
