"""File formats: each reader yields (line number, record) and complains with file and line."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from seedtune.runtime.errors import SeedTuneError

Records = Iterator[tuple[int, dict[str, Any]]]
Reader = Callable[[Path], Records]


def read_text(path: Path) -> str:
    """The file as text; a byte-order mark is dropped.

    Raises:
        SeedTuneError: not UTF-8; names line and byte.
    """
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise SeedTuneError(f"the data file cannot be read ({error.strerror})", file=path) from error
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        raise SeedTuneError(
            "the data file is not UTF-8",
            file=f"{path}:{line}",
            value=f"byte 0x{raw[error.start]:02x} at offset {error.start}",
            rule="UTF-8 text",
            remedy="convert it, for example with iconv",
        ) from error


def read_jsonl(path: Path) -> Records:
    """One JSON object a line; blank lines are skipped."""
    for number, line in enumerate(read_text(path).split("\n"), 1):
        if not line.strip():
            continue
        try:
            record = json.loads(line)
        except ValueError as error:
            column = f", column {error.colno}" if isinstance(error, json.JSONDecodeError) else ""
            raise SeedTuneError(
                f"this line is not JSON{column}", file=f"{path}:{number}", value=line, rule="one JSON object a line"
            ) from error
        except RecursionError as error:
            raise SeedTuneError("this line is nested too deeply", file=f"{path}:{number}", value=line) from error
        if not isinstance(record, dict):
            raise SeedTuneError(
                "this line is not a JSON object", file=f"{path}:{number}", value=record, rule='{"text": ..., "label": ...}'
            )
        yield number, record


def _read_delimited(path: Path, delimiter: str) -> Records:
    text = read_text(path)
    if "\0" in text:
        line = text[: text.index("\0")].count("\n") + 1
        raise SeedTuneError("the data file holds a NUL character", file=f"{path}:{line}", rule="plain text")
    table = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    try:
        header = next(table, None)
        if header is None:
            return
        if len(set(header)) != len(header):
            raise SeedTuneError("two columns have the same name", file=f"{path}:1", value=header)
        start = table.line_num + 1
        for cells in table:
            if cells:
                if len(cells) != len(header):
                    raise SeedTuneError(
                        "a row has another number of cells than the header",
                        file=f"{path}:{start}",
                        value=len(cells),
                        rule=f"{len(header)}: {', '.join(header)}",
                        remedy="quote cells that contain the delimiter or a line break",
                    )
                yield start, dict(zip(header, cells, strict=True))
            start = table.line_num + 1
    except csv.Error as error:
        raise SeedTuneError(f"the table cannot be read ({error})", file=f"{path}:{table.line_num}") from error


def read_csv(path: Path) -> Records:
    """Comma-separated values with a header line (RFC 4180)."""
    return _read_delimited(path, ",")


def read_tsv(path: Path) -> Records:
    """Tab-separated values with a header line."""
    return _read_delimited(path, "\t")


def read_parquet(path: Path) -> Records:
    """An Apache Parquet file; "line" is the row number, from 1."""
    try:
        import pyarrow
        import pyarrow.parquet
    except ModuleNotFoundError as error:
        raise SeedTuneError(
            "reading Parquet needs a package that this installation does not have",
            file=path,
            value=error.name,
            rule="the extra named parquet",
            remedy='pip install "seedtune[parquet]"',
        ) from error
    try:
        table = pyarrow.parquet.read_table(path)
    except (pyarrow.ArrowException, OSError) as error:
        raise SeedTuneError(f"the Parquet file cannot be read ({error})", file=path) from error
    number = 0
    for batch in table.to_batches():
        for record in batch.to_pylist():
            number += 1
            yield number, record


READERS: dict[str, Reader] = {
    ".jsonl": read_jsonl,
    ".ndjson": read_jsonl,
    ".csv": read_csv,
    ".tsv": read_tsv,
    ".parquet": read_parquet,
}
