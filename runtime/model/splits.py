"""A data file on its way into the graphs: read, checked and encoded, with its fingerprint."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from seedtune.runtime.data.rows import Row, Rows, read_rows
from seedtune.runtime.errors import SeedTuneError
from seedtune.runtime.task.compile import CompiledTask
from seedtune.runtime.task.example import Example


@dataclass(frozen=True)
class Split:
    """A data file: its rows, their tokens, its fingerprint, and where it is to be found again ("-" for nowhere)."""

    path: str
    rows: Rows
    examples: list[Example]
    sha256: str


def load_split(path: Path, task: CompiledTask, data_format: str | None = None) -> Split:
    """Reads and encodes a data file.

    Raises:
        SeedTuneError: a row cannot be used; names file and line.
    """
    rows = read_rows(path, task.task, data_format=data_format)
    assert rows.source is not None
    return Split(rows.source.recorded_path, rows, encode_rows(rows, task, rows.where), rows.source.sha256())


def notices_of(train: Split, held_out: Split | None) -> list[str]:
    """What a person should know of how the files were read, and of rows that are in both."""
    found = [*train.rows.notices, *(held_out.rows.notices if held_out else ())]
    if held_out and (shared := shared_rows(train.rows, held_out.rows)):
        found.append(
            f"{shared:,} of {len(held_out.rows):,} held-out rows ({shared / len(held_out.rows):.1%}) are training rows "
            "too, with the same text and label: what is measured on them says little of new rows"
        )
    return found


def shared_rows(train: Sequence[Row], held_out: Sequence[Row]) -> int:
    """How many rows of ``held_out`` have text and label of a row of ``train``."""
    # Of the smaller split: a set of a large one would be felt under a memory limit.
    keys = {_key(row) for row in held_out}
    shared = keys & {_key(row) for row in train if _key(row) in keys}
    return sum(_key(row) in shared for row in held_out)


def _key(row: Row) -> tuple[object, ...]:
    return (row.label, *row.fields.values())


def encode_rows(rows: Sequence[Row], task: CompiledTask, source: str = "row") -> list[Example]:
    """The tokens of each row.

    Args:
        rows: as the task names their fields.
        task: of the bundle.
        source: where they are from, in messages.

    Raises:
        SeedTuneError: a row cannot be used; names source and line.
    """
    examples = []
    for row in rows:
        try:
            examples.append(task.encode(row.fields, row.label or 0))
        except SeedTuneError as error:
            raise error.at(f"{source}:{row.line}") from error
    return examples
