"""A folder of the phone as it grows, here: every byte once, in its order, and only whole answers.

How far it has come is the size of the file here and nothing else, so a process that ends at any instant goes on right.
"""

from __future__ import annotations

import hashlib
import os
from enum import Enum
from pathlib import Path

from seedtune.runtime.errors import SeedTuneError

# A line that is longer is no line of ours; see `telemetry/steplog.py`.
MAX_LINE_BYTES = 16 << 20


class Taken(Enum):
    """What became of a piece of a file."""

    NOTHING_NEW = 0
    GREW = 1
    REWRITTEN = 2


class Mirror:
    """Files of one folder.

    Args:
        folder: where they are kept; made if need be.

    Raises:
        SeedTuneError: it cannot be made or written.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise SeedTuneError(
                f"the folder cannot be made ({error.strerror})", file=folder, remedy="choose another with --out"
            ) from error

    def size_bytes(self, name: str) -> int:
        """How much of ``name`` is here."""
        path = self.folder / name
        return path.stat().st_size if path.is_file() else 0

    def take(self, name: str, size_bytes: int, start: int, data: bytes) -> Taken:
        """Takes the piece ``data``, which begins at ``start``, of a file of ``size_bytes`` on the phone.

        A file that was written anew on the phone is no longer the one here, which the bytes before the end tell: that
        one is kept under another name, and fetched again from its beginning.

        Raises:
            SeedTuneError: the file cannot be written here.
        """
        here = self.size_bytes(name)
        if size_bytes == here and not data:
            return Taken.NOTHING_NEW
        if size_bytes < here or not self._continues(name, here, start, data):
            self.set_aside(name)
            return Taken.REWRITTEN
        fresh = data[here - start :]
        if not fresh:
            return Taken.NOTHING_NEW
        self._append(name, fresh)
        return Taken.GREW

    def replace(self, name: str, data: bytes) -> None:
        """Makes ``data`` the whole content of a small file."""
        from seedtune.runtime.files import write_durably

        write_durably(self.folder / name, data)

    def sha256(self, name: str) -> str:
        """The hash of what is here, which is on the disk behind this call."""
        with (self.folder / name).open("rb") as file:
            os.fsync(file.fileno())
            return hashlib.file_digest(file, "sha256").hexdigest()

    def _continues(self, name: str, here: int, start: int, data: bytes) -> bool:
        if start > here:
            return False
        if start == here:
            return True
        with (self.folder / name).open("rb") as file:
            file.seek(start)
            return file.read(min(here - start, len(data))) == data[: here - start]

    def _append(self, name: str, data: bytes) -> None:
        path = self.folder / name
        before = self.size_bytes(name)
        try:
            with path.open("ab") as file:
                file.write(data)
        except OSError as error:
            if path.is_file():
                os.truncate(path, before)
            raise SeedTuneError(
                f"what the phone tells cannot be written here ({error.strerror})",
                file=path,
                remedy="free disk space, then: seedtune device follow; the phone goes on meanwhile",
            ) from error

    def set_aside(self, name: str) -> None:
        """Keeps the file under another name, so that it is fetched anew."""
        path = self.folder / name
        if path.is_file():
            number = 1
            while (aside := path.with_name(f"{name}.before-{number}")).exists():
                number += 1
            path.rename(aside)


class Lines:
    """Whole lines of a file that grows, each once.

    Args:
        path: the file, which need not be there yet.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._offset = 0
        self._line = 0

    def fresh(self) -> list[tuple[int, bytes]]:
        """Lines since the last call, with their numbers from 1; one that is still being written waits."""
        if not self.path.is_file():
            return []
        found: list[tuple[int, bytes]] = []
        with self.path.open("rb") as file:
            file.seek(self._offset)
            while line := file.readline(MAX_LINE_BYTES):
                if not line.endswith(b"\n"):
                    if len(line) < MAX_LINE_BYTES:
                        break
                    # Longer than any line of ours: passed over, piece by piece, up to its end.
                    while line and not line.endswith(b"\n"):
                        line = file.readline(MAX_LINE_BYTES)
                    if not line:
                        break
                    line = b"\n"
                self._offset = file.tell()
                self._line += 1
                if line.strip():
                    found.append((self._line, line))
        return found

    def restart(self) -> None:
        """Begins anew, for a file that was written anew."""
        self._offset = self._line = 0
