"""The APK as a zip file: fixed order and times, so that equal inputs give equal bytes; what is mapped lies aligned."""

from __future__ import annotations

import struct
import sys
import zipfile
from pathlib import Path

from layout import PAGE_BYTES, RESOURCES

EPOCH = (2008, 1, 1, 0, 0, 0)
# Android's extra field for padding, see zipalign's source.
ALIGNMENT_FIELD = 0xD935
LOCAL_HEADER_BYTES = 30
TABLE = "resources.arsc"


def assemble(
    out: Path, dex: list[Path], abi: str, libraries: list[tuple[str, bytes]], assets: dict[str, bytes]
) -> None:
    """Writes the unsigned APK, with libraries for ``abi``."""
    with zipfile.ZipFile(RESOURCES) as resources, zipfile.ZipFile(out, "w") as archive:
        for name in sorted(resources.namelist(), key=lambda name: (name != "AndroidManifest.xml", name)):
            # Android 11 and later want the table uncompressed, to map it.
            _put(archive, name, resources.read(name), 4 if name == TABLE else None)
        for file in dex:
            _put(archive, file.name, file.read_bytes(), None)
        for name, content in sorted(assets.items()):
            _put(archive, f"assets/{name}", content, None)
        for name, content in libraries:
            _put(archive, f"lib/{abi}/{name}", content, PAGE_BYTES)


def _put(archive: zipfile.ZipFile, name: str, content: bytes, alignment: int | None) -> None:
    info = zipfile.ZipInfo(name, EPOCH)
    info.external_attr = 0o644 << 16
    info.create_system = 3
    info.compress_type = zipfile.ZIP_DEFLATED if alignment is None else zipfile.ZIP_STORED
    if alignment:
        assert archive.fp is not None
        start = archive.fp.tell() + LOCAL_HEADER_BYTES + len(name.encode()) + 6
        padding = -start % alignment
        info.extra = struct.pack("<HHH", ALIGNMENT_FIELD, 2 + padding, alignment) + b"\0" * padding
    archive.writestr(info, content)


def require_aligned(apk: Path) -> None:
    """Ends the build unless libraries and resource table are stored at their alignment, after signing."""
    with zipfile.ZipFile(apk) as archive, apk.open("rb") as raw:
        for info in archive.infolist():
            alignment = PAGE_BYTES if info.filename.endswith(".so") else 4 if info.filename == TABLE else 1
            raw.seek(info.header_offset + 26)
            name, extra = struct.unpack("<HH", raw.read(4))
            start = info.header_offset + LOCAL_HEADER_BYTES + name + extra
            if alignment > 1 and (info.compress_type != zipfile.ZIP_STORED or start % alignment):
                sys.exit(f"{apk}: {info.filename} is compressed or not aligned to {alignment}")
