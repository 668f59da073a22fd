"""Durable files and their fingerprints: written to a temporary name, fsynced, renamed; hashed as a stream."""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
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


class BackgroundSync:
    """Flushes an open file to the disk in a thread of its own, while whoever wrote goes on with other work.

    Args:
        descriptor: of the file, which stays open until :meth:`close` has returned.
    """

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._thread = ThreadPoolExecutor(1, "sync")

    def begin(self) -> Callable[[], None]:
        """Begins to flush what was written so far; what it returns waits, and raises the disk's OSError."""
        return self._thread.submit(os.fsync, self._descriptor).result

    def close(self) -> None:
        """Ends the thread, once the disk has answered."""
        self._thread.shutdown()


def require_writable(path: Path) -> None:
    """Raises SeedTuneError unless :func:`write_durably` can make the file ``path``: asked before the work is done."""
    if path.exists() and not path.is_file():
        raise SeedTuneError(
            "a file is to be written, and this is none",
            file=path,
            rule="a new or a plain file",
            remedy="choose another",
        )
    try:
        with tempfile.TemporaryFile(dir=path.parent):
            pass
    except OSError as error:
        raise SeedTuneError(
            f"the file cannot be written ({error.strerror})",
            file=path,
            rule="a folder that is there and can be written",
            remedy=f"make the folder {path.parent}, or choose another",
        ) from error


def require_utf8(path: Path) -> None:
    """Raises SeedTuneError for a path that is no text: neither JSON nor ONNX Runtime can name such a file."""
    try:
        str(path).encode()
    except UnicodeEncodeError as error:
        raise SeedTuneError(
            "this path is not UTF-8",
            file=path,
            value=os.fsencode(path),
            rule="a path that is text",
            remedy="rename the file or folder",
        ) from error


def sha256_of(path: Path) -> str:
    """SHA-256 of the file at ``path``, in hexadecimal."""
    digest = hashlib.sha256()
    with path.open("rb", buffering=0) as file:
        while chunk := file.read(CHUNK_BYTES):
            digest.update(chunk)
    return digest.hexdigest()


@contextlib.contextmanager
def new_folder(out: Path) -> Iterator[Path]:
    """A folder to write into, which is ``out`` once the block ends, and gone if it ends with an error.

    Raises:
        SeedTuneError: ``out`` is there and not empty, or cannot be made.
    """
    if out.exists() and not (out.is_dir() and not any(out.iterdir())):
        raise SeedTuneError(
            "the folder is there already", file=out, rule="a new or an empty folder", remedy="choose another"
        )
    temporary = out.with_name(f".{out.name}.{os.getpid()}.partial")
    try:
        temporary.mkdir(parents=True)
        yield temporary
        temporary.replace(out)
    except OSError as error:
        raise SeedTuneError(
            f"the folder cannot be written ({error.strerror})",
            file=out,
            remedy="free disk space or choose another folder",
        ) from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
