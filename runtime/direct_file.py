"""Reads a file without leaving it in the page cache, which a memory cap counts."""

from __future__ import annotations

import errno
import os
import time
from pathlib import Path

import numpy as np

from seedtune.runtime.errors import SeedTuneError

PAGE_BYTES = 4096
# Large enough for the storage to be busy, small enough to end soon.
READ_BYTES = 8 << 20


def span_of(offset: int, size_bytes: int) -> tuple[int, int]:
    """The whole pages around ``size_bytes`` bytes at ``offset``: where they start, and their bytes."""
    start = offset // PAGE_BYTES * PAGE_BYTES
    return start, -(-(offset + size_bytes - start) // PAGE_BYTES) * PAGE_BYTES


def pages_of(size_bytes: int) -> memoryview:
    """New memory of whole pages that starts on a page: what can be read into."""
    whole = np.empty(size_bytes + PAGE_BYTES, np.uint8)
    return whole[-whole.ctypes.data % PAGE_BYTES :][:size_bytes].data


class DirectFile:
    """A file opened with O_DIRECT; where the file system has no such thing, pages are dropped right after reading.

    Args:
        path: of the file.
        what: it is, in messages.
        remedy: where it was changed.

    Attributes:
        direct: whether the page cache is passed by.
        bytes_read: so far.
        reading_seconds: that took.
    """

    def __init__(self, path: Path, what: str, remedy: str) -> None:
        self.path = path
        self._what = what
        self._remedy = remedy
        self.bytes_read = 0
        self.reading_seconds = 0.0
        try:
            self._descriptor = os.open(path, os.O_RDONLY | os.O_DIRECT)
            self.direct = True
        except (OSError, AttributeError) as error:
            if isinstance(error, OSError) and error.errno not in (errno.EINVAL, errno.EOPNOTSUPP):
                raise
            self._descriptor = os.open(path, os.O_RDONLY)
            self.direct = False
        self._identity = self._stamp()

    def read(self, start: int, into: memoryview) -> None:
        """Fills ``into`` from offset ``start``; both must be whole pages. What lies behind the end stays as it is.

        Raises:
            SeedTuneError: the storage fails, or the file has become shorter.
        """
        began = time.perf_counter()
        done = 0
        size = len(into)
        while done < size:
            try:
                count = os.preadv(self._descriptor, [into[done : done + READ_BYTES]], start + done)
            except OSError as error:
                raise SeedTuneError(
                    f"{self._what} cannot be read ({error.strerror})", file=self.path, remedy="check the storage"
                ) from error
            if not self.direct:
                os.posix_fadvise(self._descriptor, start + done, count, os.POSIX_FADV_DONTNEED)
            self.bytes_read += count
            done += count
            if count % PAGE_BYTES or not count:
                break
        self.reading_seconds += time.perf_counter() - began
        if start + done < min(start + size, self._identity[0]):
            raise self._changed()

    @property
    def size_bytes(self) -> int:
        """Of the file when it was opened."""
        return self._identity[0]

    def require_unchanged(self) -> None:
        """Raises SeedTuneError when the file was written to, or replaced in place, since it was opened."""
        if self._stamp() != self._identity:
            raise self._changed()

    def close(self) -> None:
        """Closes the file."""
        os.close(self._descriptor)

    def _stamp(self) -> tuple[int, int]:
        status = os.fstat(self._descriptor)
        return status.st_size, status.st_mtime_ns

    def _changed(self) -> SeedTuneError:
        return SeedTuneError(
            f"{self._what}: the file was changed while it was in use",
            file=self.path,
            rule="nobody else writes to this file",
            remedy=self._remedy,
        )
