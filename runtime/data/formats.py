"""File formats: each reader yields (line number, record) and complains with file and line."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from seedtune.runtime.data.source import Source
from seedtune.runtime.errors import SeedTuneError

Record = Mapping[str, Any]
Records = Iterator[tuple[int, Record]]


@dataclass(frozen=True)
class Wanted:
    """What a reader is asked for.

    Attributes:
        columns: the names that the task reads; a reader may leave out all others.
        required: those of them without which there is no row.
        fits: whether the task can use a record.
        notice: told what a person should know of how the file was read.
    """

    columns: tuple[str, ...]
    required: tuple[str, ...]
    fits: Callable[[Record], bool]
    notice: Callable[[str], None]


Reader = Callable[[Source, Wanted], Records]


def require_once(columns: list[str], wanted: Wanted, where: str) -> None:
    """Raises SeedTuneError when two of ``columns`` have the same name and the task reads it."""
    repeated = sorted({name for name in columns if columns.count(name) > 1 and name in wanted.columns})
    if repeated:
        raise SeedTuneError(
            "two columns have the same name", file=where, value=repeated, rule="every name once", remedy="rename one"
        )


def read_jsonl(source: Source, wanted: Wanted) -> Records:
    """One JSON object a line; blank lines are skipped."""
    for number, line in enumerate(source.text().split("\n"), 1):
        if line.strip():
            yield number, record_of(line, f"{source}:{number}")


def record_of(line: str, where: str) -> Record:
    """The JSON object in ``line``; ``where`` names it in messages.

    Raises:
        SeedTuneError: it is none, or names a key twice.
    """
    try:
        record = json.loads(line, object_pairs_hook=_object)
    except ValueError as error:
        column = f", column {error.colno}: {error.msg}" if isinstance(error, json.JSONDecodeError) else f": {error}"
        raise SeedTuneError(
            f"this line is not JSON{column}",
            file=where,
            value=line,
            rule="one JSON object a line, each key once",
            remedy="correct or remove the line",
        ) from error
    except RecursionError as error:
        raise SeedTuneError(
            "this line is nested too deeply",
            file=where,
            value=line,
            remedy="correct or remove the line",
        ) from error
    if not isinstance(record, dict):
        raise SeedTuneError(
            "this line is not a JSON object",
            file=where,
            value=record,
            rule='{"text": ..., "label": ...}',
            remedy="write every row as an object",
        )
    return record


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    # json keeps the last of two equal keys, so a row with two labels would quietly take the second.
    record = dict(pairs)
    if len(record) != len(pairs):
        keys = [key for key, _ in pairs]
        raise ValueError(f"the key {next(key for key in keys if keys.count(key) > 1)!r} stands twice")
    return record
