"""JSON lines that survive a kill: one record, one line, one write.

A line reaches the kernel before ``write`` returns, so a killed process loses at most the line in flight.
There is no fsync: telemetry may lose its tail when the power fails; the journal, which is the model, may
not, and has its own file format. Nothing here knows what a record means.
"""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path
from types import TracebackType
from typing import TypeVar

import msgspec

from seedtune.runtime.decoding import require_plain_file
from seedtune.runtime.errors import SeedTuneError

MAX_LINE_BYTES = 16 * 1024 * 1024  # a guess: a thousand times the longest sensible row of text
Record = TypeVar("Record")


class JsonLinesWriter:
    """Appends records to a file of JSON lines.

    Opening a file whose last line was torn by a kill cuts that line off first; otherwise the next record
    would be glued to it and both be lost. A write that fails leaves the file as it was before.

    Args:
        path: the file, made if it is not there; its folder must be.

    Raises:
        SeedTuneError: the file cannot be opened or written, as on a full disk.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)
        self._encoder = msgspec.json.Encoder()
        try:
            self._descriptor: int | None = os.open(self.path, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o666)
        except OSError as error:
            raise _file_error("cannot open the log", self.path, error) from error
        try:
            # A device or a pipe has no tail to mend and cannot be cut.
            self._regular = stat.S_ISREG(os.fstat(self._descriptor).st_mode)
            if self._regular:
                self._mend_tail()
        except OSError as error:
            self.close()
            raise _file_error("cannot open the log", self.path, error) from error

    def write(self, record: object) -> None:
        """Appends one record; the kernel has the whole line when this returns.

        Raises:
            SeedTuneError: the line could not be written; nothing of it stays in the file.
            ValueError: the writer is closed.
        """
        if self._descriptor is None:
            raise ValueError(f"{self.path}: write to a closed log")
        self._append(self._encoder.encode(record) + b"\n")

    def close(self) -> None:
        """Closes the file; a second call does nothing."""
        descriptor, self._descriptor = self._descriptor, None
        if descriptor is not None:
            os.close(descriptor)

    def __enter__(self) -> JsonLinesWriter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _append(self, line: bytes) -> None:
        assert self._descriptor is not None
        size_before = os.fstat(self._descriptor).st_size
        rest = memoryview(line)
        try:
            # write(2) may take only a part, which is how a disk gets full.
            while rest:
                rest = rest[os.write(self._descriptor, rest) :]
        except OSError as error:
            if self._regular:
                os.ftruncate(self._descriptor, size_before)
            raise _file_error("cannot write to the log", self.path, error) from error

    def _mend_tail(self) -> None:
        assert self._descriptor is not None
        size = os.fstat(self._descriptor).st_size
        tail = b""
        while len(tail) < size and b"\n" not in tail:
            if len(tail) > MAX_LINE_BYTES:
                raise _too_long(self.path)
            start = max(0, size - len(tail) - 65536)
            os.lseek(self._descriptor, start, os.SEEK_SET)
            tail = os.read(self._descriptor, size - len(tail) - start) + tail
        torn = tail[tail.rfind(b"\n") + 1 :]
        if not torn:
            return
        try:
            # A cut object lacks its brace, so a line that parses is whole and only its newline is missing.
            msgspec.json.decode(torn, type=dict)
        except (ValueError, RecursionError):
            os.ftruncate(self._descriptor, size - len(torn))
        else:
            self._append(b"\n")


def read_json_lines(path: str | os.PathLike[str], record_type: type[Record]) -> list[Record]:
    """All records of a file of JSON lines.

    A last line without its newline that does not parse was torn by a kill, and is left out. Blank lines are
    skipped.

    Args:
        path: the file.
        record_type: what each line is decoded to, such as ``StepRecord``.

    Raises:
        SeedTuneError: the file cannot be read, or any other line is no such record; the error names
        ``path:line``.
    """
    path = Path(path)
    require_plain_file(path, "the log", "give the file that a run wrote")
    decoder = msgspec.json.Decoder(record_type)
    records: list[Record] = []
    try:
        with path.open("rb") as file:
            number = 0
            while line := file.readline(MAX_LINE_BYTES + 1):
                number += 1
                if len(line) > MAX_LINE_BYTES:
                    raise _too_long(f"{path}:{number}")
                if not line.strip():
                    continue
                try:
                    # As text: what stands in a field that is not asked for would otherwise not have to be any.
                    records.append(decoder.decode(line.decode("utf-8")))
                except (ValueError, RecursionError) as error:
                    if not line.endswith(b"\n") and not isinstance(error, msgspec.ValidationError):
                        break
                    raise SeedTuneError(
                        f"not a {record_type.__name__}: {error}",
                        file=f"{path}:{number}",
                        value=line.decode("utf-8", "replace").rstrip("\n"),
                        rule="one JSON object a line; only the last line may be torn",
                        remedy="delete this line, or restore the file from where it was copied",
                    ) from error
    except OSError as error:
        raise SeedTuneError(
            f"cannot read the log: {error.strerror}", file=path, remedy="check the path and its permissions"
        ) from error
    return records


def _file_error(what: str, path: Path, error: OSError) -> SeedTuneError:
    remedies = {
        errno.ENOSPC: "free some space on this disk, then continue the run",
        errno.EDQUOT: "free some of your quota on this disk, then continue the run",
        errno.ENOENT: "make the folder first, or give another path",
        errno.EACCES: "give this user the right to write there, or give another path",
        errno.EROFS: "give a path on a disk that can be written",
        errno.EISDIR: "give the path of a file",
    }
    return SeedTuneError(
        f"{what}: {error.strerror}",
        file=path,
        remedy=remedies.get(error.errno or 0, "check the path, its permissions and its disk"),
    )


def _too_long(where: str | os.PathLike[str]) -> SeedTuneError:
    return SeedTuneError(
        "a line is too long to be a record",
        file=where,
        rule=f"at most {MAX_LINE_BYTES:,} bytes a line",
        remedy="this is not a log of SeedTune; give the file that a run wrote",
    )
