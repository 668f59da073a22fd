"""The native libraries of an APK, checked as a phone's loader would check them."""

from __future__ import annotations

import struct
import sys
import zipfile

from layout import ABI, PAGE_BYTES, RUNTIME_AAR, has_runtime

ELF_64_LITTLE = b"\x7fELF\x02\x01"
MACHINE_AARCH64 = 183
SEGMENT_LOAD = 1


def libraries() -> list[tuple[str, bytes]]:
    """Name and content of ONNX Runtime's libraries for the phone; none when it is not there."""
    if not has_runtime():
        return []
    prefix = f"jni/{ABI}/"
    with zipfile.ZipFile(RUNTIME_AAR) as opened:
        members = [name for name in opened.namelist() if name.startswith(prefix) and name.endswith(".so")]
        found = [(name.removeprefix(prefix), opened.read(name)) for name in sorted(members)]
    for name, content in found:
        require_loadable(name, content)
    return found


def require_loadable(name: str, content: bytes) -> None:
    """Ends the build unless the library is for ARM64 and its segments may lie on pages of 16 KB."""
    if not content.startswith(ELF_64_LITTLE) or struct.unpack_from("<H", content, 18)[0] != MACHINE_AARCH64:
        sys.exit(f"{name} is no library for {ABI}")
    (table,) = struct.unpack_from("<Q", content, 32)
    size, count = struct.unpack_from("<HH", content, 54)
    for index in range(count):
        start = table + index * size
        (kind,) = struct.unpack_from("<I", content, start)
        (alignment,) = struct.unpack_from("<Q", content, start + 48)
        if kind == SEGMENT_LOAD and alignment % PAGE_BYTES:
            sys.exit(f"{name} has a segment aligned to {alignment:,} bytes, not to {PAGE_BYTES:,}")
