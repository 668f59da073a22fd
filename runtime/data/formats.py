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
        SeedTuneError: not UTF-8, or a NUL; names line and byte.
    """
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise SeedTuneError(
            f"the data file cannot be read ({error.strerror})", file=path, remedy="check its permissions"
        ) from error
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        raise SeedTuneError(
            "the data file is not UTF-8",
            file=f"{path}:{line}",
            value=f"byte 0x{raw[error.start]:02x} at offset {error.start}",
            rule="UTF-8 text",
            remedy="convert it, for example with iconv",
        ) from error
    if "\0" in text:
        raise SeedTuneError(
            "the data file holds a NUL character",
            file=f"{path}:{text.count(chr(10), 0, text.index(chr(0))) + 1}",
            rule="plain UTF-8 text",
            remedy="if it is UTF-16, convert it, for example with iconv; otherwise remove the character",
        )
    return text


def read_jsonl(path: Path) -> Records:
    """One JSON object a line; blank lines are skipped."""
    for number, line in enumerate(read_text(path).split("\n"), 1):
        if not line.strip():
            continue
        try:
            record = json.loads(line, object_pairs_hook=_object)
        except ValueError as error:
            column = f", column {error.colno}: {error.msg}" if isinstance(error, json.JSONDecodeError) else f": {error}"
            raise SeedTuneError(
                f"this line is not JSON{column}",
                file=f"{path}:{number}",
                value=line,
                rule="one JSON object a line, each key once",
                remedy="correct or remove the line",
            ) from error
        except RecursionError as error:
            raise SeedTuneError(
                "this line is nested too deeply",
                file=f"{path}:{number}",
                value=line,
                remedy="correct or remove the line",
            ) from error
        if not isinstance(record, dict):
            raise SeedTuneError(
                "this line is not a JSON object",
                file=f"{path}:{number}",
                value=record,
                rule='{"text": ..., "label": ...}',
                remedy="write every row as an object",
            )
        yield number, record


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    # json keeps the last of two equal keys, so a row with two labels would quietly take the second.
    record = dict(pairs)
    if len(record) != len(pairs):
        keys = [key for key, _ in pairs]
        raise ValueError(f"the key {next(key for key in keys if keys.count(key) > 1)!r} stands twice")
    return record


def _read_delimited(path: Path, delimiter: str) -> Records:
    text = read_text(path)
    table = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    start = 1
    # The module refuses cells above 131,072 characters; here the task's max_characters is the limit.
    limit_before = csv.field_size_limit(max(csv.field_size_limit(), len(text)))
    try:
        header = next(table, None)
        if header is None:
            return
        _refuse_repeated(header, f"{path}:1")
        start = table.line_num + 1
        for cells in table:
            # csv gives no cells for a blank line.
            if cells and len(cells) != len(header):
                raise SeedTuneError(
                    "a row has another number of cells than the header",
                    file=f"{path}:{start}",
                    value=len(cells),
                    rule=f"{len(header)} cells: {', '.join(header)}",
                    remedy="quote cells that contain the delimiter or a line break",
                )
            if cells:
                yield start, dict(zip(header, cells, strict=True))
            start = table.line_num + 1
    except csv.Error as error:
        # The line where the row begins: an unclosed quote is noticed at the end of the file only.
        raise SeedTuneError(
            f"the table cannot be read ({error})",
            file=f"{path}:{start}",
            rule="quotes are closed, and doubled inside quotes",
            remedy="correct the row that begins at this line",
        ) from error
    finally:
        csv.field_size_limit(limit_before)


def _refuse_repeated(columns: list[str], where: str) -> None:
    repeated = sorted({name for name in columns if columns.count(name) > 1})
    if repeated:
        raise SeedTuneError(
            "two columns have the same name", file=where, value=repeated, rule="every name once", remedy="rename one"
        )


def read_csv(path: Path) -> Records:
    """Comma-separated values with a header line (RFC 4180)."""
    return _read_delimited(path, ",")


def read_tsv(path: Path) -> Records:
    """Tab-separated values with a header line, quoted as in CSV."""
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
    number = 0
    try:
        with pyarrow.parquet.ParquetFile(path) as table:
            _refuse_repeated(table.schema_arrow.names, str(path))
            for batch in table.iter_batches(batch_size=1024):
                for place in range(batch.num_rows):
                    number += 1
                    yield number, batch.slice(place, 1).to_pylist()[0]
    except UnicodeDecodeError as error:
        raise SeedTuneError(
            "a text of the Parquet file is not UTF-8",
            file=f"{path}:{number}",
            value=f"byte 0x{error.object[error.start]:02x} at offset {error.start} of the text",
            rule="UTF-8 text",
            remedy="write the file again from text",
        ) from error
    except (pyarrow.ArrowException, OSError) as error:
        raise SeedTuneError(
            f"the Parquet file cannot be read ({error})",
            file=path,
            rule="an Apache Parquet file",
            remedy="write or copy it again",
        ) from error


READERS: dict[str, Reader] = {
    ".jsonl": read_jsonl,
    ".ndjson": read_jsonl,
    ".csv": read_csv,
    ".tsv": read_tsv,
    ".parquet": read_parquet,
}
