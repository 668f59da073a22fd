"""A journal on disk: read whole, or appended to one step at a time, each on the disk before it counts."""

from __future__ import annotations

import contextlib
import functools
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType

from seedtune.runtime.decoding import read_plain_file
from seedtune.runtime.errors import SeedTuneError
from seedtune.runtime.files import BackgroundSync, write_durably
from seedtune.runtime.journal.format import RESTORE, Header, Journal, decode, encode_header
from seedtune.runtime.journal.records import GradientRecord, Record, encode_record

AGAIN = "free disk space, then continue with --resume"


def read_journal(path: Path) -> Journal:
    """The journal at ``path``.

    Raises:
        SeedTuneError: it is missing or damaged (a torn last step is not damage).
    """
    return decode(read_plain_file(path, "the journal", RESTORE), str(path))


class JournalWriter:
    """Appends steps; a context manager that closes the file. ``count`` is the number of records."""

    def __init__(self, path: Path, descriptor: int, checksum: int, count: int, whole_bytes: int) -> None:
        self.path = path
        self.count = count
        self._descriptor = descriptor
        self._sync = BackgroundSync(descriptor)
        self._checksum = checksum
        self._whole_bytes = whole_bytes

    @classmethod
    def create(cls, path: Path, header: Header) -> JournalWriter:
        """Starts a new journal, which is there with its whole header or not at all.

        Raises:
            SeedTuneError: the file exists or cannot be written.
        """
        raw = encode_header(header)
        checksum = int.from_bytes(raw[-4:], "little")
        if path.exists():
            raise SeedTuneError("the journal cannot be created (it exists)", file=path)
        write_durably(path, raw)
        try:
            descriptor = os.open(path, os.O_WRONLY | os.O_APPEND)
        except OSError as error:
            raise SeedTuneError(f"the journal cannot be created ({error.strerror})", file=path, remedy=AGAIN) from error
        return cls(path, descriptor, checksum, 0, len(raw))

    @classmethod
    def resume(cls, path: Path, journal: Journal) -> JournalWriter:
        """Goes on with ``journal``, just read from ``path``; a torn last step is cut off.

        Raises:
            SeedTuneError: the file cannot be written.
        """
        try:
            descriptor = os.open(path, os.O_WRONLY | os.O_APPEND)
            os.ftruncate(descriptor, journal.whole_bytes)
        except OSError as error:
            raise SeedTuneError(
                f"the journal cannot be appended to ({error.strerror})", file=path, remedy=AGAIN
            ) from error
        return cls(path, descriptor, journal.checksum, len(journal.records), journal.whole_bytes)

    def append(self, records: Sequence[Record] | Sequence[GradientRecord]) -> None:
        """Puts the ``records`` of a step on the disk; on return they survive a power cut.

        Raises:
            SeedTuneError: the disk is full; the journal then ends with the step before.
        """
        self.begin(records)()

    def begin(self, records: Sequence[Record] | Sequence[GradientRecord]) -> Callable[[], None]:
        """Begins what :meth:`append` does, and returns what waits for its end: other work goes on beside the disk.

        Nothing else is appended before that was called; both raise as :meth:`append` does.
        """
        raw, checksum = b"", self._checksum
        for record in records:
            encoded, checksum = encode_record(record, checksum)
            raw += encoded
        try:
            rest = memoryview(raw)
            while rest:
                rest = rest[os.write(self._descriptor, rest) :]
        except OSError as error:
            raise self._taken_back(error) from error
        return functools.partial(self._settle, self._sync.begin(), len(raw), checksum, len(records))

    def _settle(self, synced: Callable[[], None], size_bytes: int, checksum: int, count: int) -> None:
        try:
            synced()
        except OSError as error:
            raise self._taken_back(error) from error
        self._whole_bytes += size_bytes
        self._checksum = checksum
        self.count += count

    def _taken_back(self, error: OSError) -> SeedTuneError:
        # A later record must not land behind a torn one. Where even this fails, resuming cuts it off.
        with contextlib.suppress(OSError):
            os.ftruncate(self._descriptor, self._whole_bytes)
        return SeedTuneError(
            f"the journal cannot be written ({error.strerror})",
            file=self.path,
            value=f"{self.count} records are safe",
            remedy=AGAIN,
        )

    def close(self) -> None:
        """Closes the file."""
        self._sync.close()
        os.close(self._descriptor)

    def __enter__(self) -> JournalWriter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()
