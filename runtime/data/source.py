"""Where rows come from: a file, a pipe or standard input; a pipe is read once, whole."""

from __future__ import annotations

import hashlib
import os
import stat
import sys
from pathlib import Path
from typing import BinaryIO

from seedtune.runtime.errors import SeedTuneError
from seedtune.runtime.files import sha256_of

STDIN = "-"
# Format -> the endings that say it.
FORMATS: dict[str, tuple[str, ...]] = {
    "jsonl": (".jsonl", ".ndjson"),
    "csv": (".csv",),
    "tsv": (".tsv",),
    "parquet": (".parquet",),
    "csv-quoted": (),
    "csv-unquoted": (),
    "tsv-quoted": (),
    "tsv-unquoted": (),
}
ENDINGS = {ending: name for name, endings in FORMATS.items() for ending in endings}


class Source:
    """A file, a pipe or standard input ("-").

    Args:
        path: where it is.
        data_format: one of FORMATS; None for what the ending says, and JSONL for standard input and for a pipe whose
            name has no ending.

    Raises:
        SeedTuneError: there is nothing there, it is neither file nor pipe, or its format is unknown.
    """

    def __init__(self, path: str | os.PathLike[str], data_format: str | None = None) -> None:
        self.path = Path(path)
        self.is_stdin = str(path) == STDIN
        self.is_pipe = self.is_stdin or self.path.is_fifo()
        self.format = self._format(data_format)
        self._sha256: str | None = None
        if not self.is_pipe and not self.path.is_file():
            raise SeedTuneError(
                _what_instead(self.path), file=self.path, rule="a file or a pipe that exists", remedy="check the path"
            )

    def __str__(self) -> str:
        return "standard input" if self.is_stdin else str(self.path)

    @property
    def recorded_path(self) -> str:
        """How run.json names it: "-", or a path that does not depend on the working folder."""
        if self.is_stdin:
            return STDIN
        return str(self.path.absolute() if self.is_pipe else self.path.resolve())

    def sha256(self) -> str:
        """Of its bytes, in hexadecimal; a pipe must have been read."""
        if self._sha256 is None:
            self._sha256 = sha256_of(self.path)
        return self._sha256

    def read(self) -> bytes:
        """All of its bytes; once only, if it is a pipe.

        Raises:
            SeedTuneError: it cannot be read.
        """
        try:
            with self._open() as file:
                content = file.read()
        except OSError as error:
            raise SeedTuneError(
                f"the data file cannot be read ({error.strerror})", file=str(self), remedy="check its permissions"
            ) from error
        self._sha256 = hashlib.sha256(content).hexdigest()
        return content

    def text(self) -> str:
        """All of it as text; a byte-order mark is dropped.

        Raises:
            SeedTuneError: not UTF-8, or a NUL; names line and byte.
        """
        raw = self.read()
        try:
            text = raw.decode("utf-8-sig")
        except UnicodeDecodeError as error:
            line = raw.count(b"\n", 0, error.start) + 1
            raise SeedTuneError(
                "the data file is not UTF-8",
                file=f"{self}:{line}",
                value=f"byte 0x{raw[error.start]:02x} at offset {error.start}",
                rule="UTF-8 text",
                remedy="convert it, for example with iconv",
            ) from error
        if "\0" in text:
            raise SeedTuneError(
                "the data file holds a NUL character",
                file=f"{self}:{text.count(chr(10), 0, text.index(chr(0))) + 1}",
                rule="plain UTF-8 text",
                remedy="if it is UTF-16, convert it, for example with iconv; otherwise remove the character",
            )
        return text

    def _open(self) -> BinaryIO:
        if not self.is_stdin:
            return self.path.open("rb")
        if sys.stdin is None:
            raise SeedTuneError("standard input is closed", rule="rows on standard input", remedy="give a file")
        # A descriptor of its own, so that standard input itself stays open.
        return os.fdopen(os.dup(sys.stdin.fileno()), "rb")

    def _format(self, data_format: str | None) -> str:
        if data_format in FORMATS:
            return data_format
        ending = self.path.suffix.lower()
        if data_format is None and ending in ENDINGS:
            return ENDINGS[ending]
        if data_format is None and self.is_pipe and not ending:
            return "jsonl"
        example = "write one JSON object a line and call it .jsonl" if ending == ".json" else "convert the file"
        raise SeedTuneError(
            "the format of a data file is told by its ending, and this one is unknown"
            if data_format is None
            else "there is no such format of data",
            file=str(self),
            value=self.path.suffix if data_format is None else data_format,
            rule=f"one of {', '.join(ENDINGS if data_format is None else FORMATS)}",
            remedy=f"{example}, or say what it is with --data-format" if data_format is None else "choose another",
        )


def _what_instead(path: Path) -> str:
    try:
        mode = path.stat().st_mode
    except OSError:
        return "no such data file"
    return "this data file is a folder" if stat.S_ISDIR(mode) else "this is neither a file nor a pipe"
