"""A bundle as one file for a phone: a zip whose files are stored as they are, each on a page of its own.

Weights do not compress, and what is stored is copied out at the speed of the disk. Files begin at multiples of 16 KB,
the largest page of Android, so a reader could as well map them where they lie. Host files stay at the desk. Equal
bundles give equal zips, to the byte.
"""

from __future__ import annotations

import os
import shutil
import struct
import zipfile
from pathlib import Path

from seedtune.runtime.bundle.manifest import MANIFEST, decode_manifest
from seedtune.runtime.errors import SeedTuneError
from seedtune.runtime.files import CHUNK_BYTES, require_writable

PAGE_BYTES = 16384
# The first day that a zip can name; the time of an export would make two exports differ.
EPOCH = (1980, 1, 1, 0, 0, 0)
# Of the format (PKWARE's APPNOTE 6.3.10): the header in front of a file, and its extra field for sizes of 64 bits.
LOCAL_HEADER_BYTES = 30
ZIP64_FIELD_BYTES = 20
# The extra field that Android's zipalign pads with.
PADDING_FIELD = 0xD935
PADDING_HEADER_BYTES = 6


def write_zip(bundle: Path, out: Path) -> int:
    """Writes what a phone must hold of ``bundle`` into the zip file ``out``, in a folder of the bundle's name.

    Args:
        bundle: a bundle's folder.
        out: replaced once all is written; until then it is as it was.

    Returns:
        The size of ``out`` in bytes.

    Raises:
        SeedTuneError: the bundle has no manifest or lacks a file, or the disk is full.
    """
    bundle, path = bundle.resolve(), bundle / MANIFEST
    if not path.is_file():
        raise SeedTuneError(f"this folder has no {MANIFEST}, so it is not a bundle", file=bundle)
    manifest = decode_manifest(path.read_bytes(), path)
    require_writable(out)
    names = [MANIFEST, *sorted(set(manifest.files) - set(manifest.host_files))]
    partial = out.with_name(f".{out.name}.{os.getpid()}.partial")
    try:
        with zipfile.ZipFile(partial, "w") as archive:
            for name in names:
                _put(archive, bundle / name, f"{bundle.name}/{name}")
        partial.replace(out)
    except FileNotFoundError as error:
        raise SeedTuneError(
            "a file of the bundle is missing", file=Path(error.filename), remedy="export the bundle again"
        ) from error
    except OSError as error:
        raise SeedTuneError(
            f"the zip file cannot be written ({error.strerror})",
            file=out,
            value=f"{manifest.phone_bytes / 1e6:,.0f} MB",
            remedy="free disk space or choose another folder",
        ) from error
    finally:
        partial.unlink(missing_ok=True)
    return out.stat().st_size


def _put(archive: zipfile.ZipFile, file: Path, name: str) -> None:
    size_bytes = file.stat().st_size
    info = zipfile.ZipInfo(name, EPOCH)
    info.create_system, info.external_attr, info.file_size = 3, 0o644 << 16, size_bytes
    # Asked for, not left to zipfile, whose own rule would have to be guessed for the padding.
    large = size_bytes > zipfile.ZIP64_LIMIT // 2
    assert archive.fp is not None
    start = archive.fp.tell() + LOCAL_HEADER_BYTES + len(name.encode()) + PADDING_HEADER_BYTES
    padding = -(start + large * ZIP64_FIELD_BYTES) % PAGE_BYTES
    info.extra = struct.pack("<HHH", PADDING_FIELD, 2 + padding, PAGE_BYTES) + b"\0" * padding
    with file.open("rb") as source, archive.open(info, "w", force_zip64=large) as target:
        shutil.copyfileobj(source, target, CHUNK_BYTES)
