"""Durable files and their fingerprints: written to a temporary name, fsynced, renamed; hashed as a stream."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

from seedtune.runtime.errors import SeedTuneError

CHUNK_BYTES = 1 << 20


def write_durably(path: Path, data: bytes) -> None:
    """Replaces ``path`` by ``data``: whoever reads it sees the old content or the new, never a part.

    Raises:
        SeedTuneError: the disk is full or the folder cannot be written.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        try:
            with temporary.open("wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            temporary.replace(path)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise
    except OSError as error:
        raise SeedTuneError(
            f"the file cannot be written ({error.strerror})",
            file=path,
            value=f"{len(data):,} bytes",
            remedy="free disk space or choose another folder",
        ) from error


def sha256_of(path: Path) -> str:
    """SHA-256 of the file at ``path``, in hexadecimal."""
    digest = hashlib.sha256()
    with path.open("rb", buffering=0) as file:
        while chunk := file.read(CHUNK_BYTES):
            digest.update(chunk)
    return digest.hexdigest()
