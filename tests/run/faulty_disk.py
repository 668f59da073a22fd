"""A disk that fails: every call that changes a folder is counted, and from one of them on none succeeds.

The failing write takes the first half of its bytes, as a disk does that gets full. Only what SeedTune writes with is
watched: files that are opened for writing, descriptors, folders, renames and fsync.
"""

from __future__ import annotations

import errno
import io
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest


class FaultyDisk:
    """``folder`` on such a disk; ``calls`` tells what was done so far, (kind, name of the file) each.

    Args:
        folder: what is watched, with everything in it.
        fails_at: the place in ``calls`` from which on everything fails; None for a disk that works.
        number: of the error, such as errno.ENOSPC.
        only: the kind of calls that fail; None for all.
    """

    def __init__(self, folder: Path, fails_at: int | None, number: int = errno.ENOSPC, only: str | None = None) -> None:
        self.folder = str(folder)
        self.calls: list[tuple[str, str]] = []
        self.failed: tuple[str, str] | None = None
        self._fails_at = fails_at
        self._number = number
        self._only = only

    def install(self, patch: pytest.MonkeyPatch) -> None:
        """Puts the disk under this process until ``patch`` is undone."""
        disk, plain_open, plain_write, plain_fsync = self, os.open, os.write, os.fsync
        plain_io_open, plain_replace, plain_mkdir = io.open, os.replace, os.mkdir

        class File(io.FileIO):
            """Unbuffered, so that each write is one."""

            def write(self, data: Any, /) -> int:
                raw = bytes(data)
                name = name_of(self.fileno())
                disk.call("write", name, lambda: super(File, self).write(raw[: len(raw) // 2]))
                return super().write(raw)

        def opened(path: Any, flags: int, *arguments: Any, **named: Any) -> int:
            if flags & (os.O_CREAT | os.O_WRONLY | os.O_RDWR):
                disk.call("open", str(path))
            return plain_open(path, flags, *arguments, **named)

        def written(number: int, data: Any) -> int:
            raw = bytes(data)
            disk.call("write", name_of(number), lambda: plain_write(number, raw[: len(raw) // 2]))
            return plain_write(number, raw)

        def synced(number: int) -> None:
            disk.call("fsync", name_of(number))
            plain_fsync(number)

        def io_opened(path: Any, mode: str = "r", *arguments: Any, **named: Any) -> Any:
            if mode != "wb" or not str(path).startswith(disk.folder):
                return plain_io_open(path, mode, *arguments, **named)
            disk.call("open", str(path))
            return File(path, "wb")

        def replaced(source: Any, target: Any, **named: Any) -> None:
            disk.call("rename", str(target))
            plain_replace(source, target, **named)

        def made(path: Any, *arguments: Any, **named: Any) -> None:
            disk.call("mkdir", str(path))
            plain_mkdir(path, *arguments, **named)

        for owner, name, function in (
            (os, "open", opened), (os, "write", written), (os, "fsync", synced), (os, "replace", replaced),
            (os, "mkdir", made), (io, "open", io_opened), (io, "FileIO", File),
        ):  # fmt: skip
            patch.setattr(owner, name, function)

    def call(self, kind: str, path: str, torn: Callable[[], object] = lambda: None) -> None:
        """Counts a call, and fails where it is to fail, having done the half of it that ``torn`` does."""
        if not path.startswith(self.folder):
            return
        place = len(self.calls)
        self.calls.append((kind, Path(path).name))
        if self._fails_at is None or place < self._fails_at or self._only not in (None, kind):
            return
        if self.failed is None:
            self.failed = self.calls[-1]
            torn()
        raise OSError(self._number, os.strerror(self._number), path)


def name_of(descriptor: int) -> str:
    """The path that ``descriptor`` was opened by."""
    return os.readlink(f"/proc/self/fd/{descriptor}")
