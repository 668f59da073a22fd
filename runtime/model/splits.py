"""A data file on its way into the graphs: read, checked and encoded, with its fingerprint."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from seedtune.runtime.data.rows import Row, read_rows
from seedtune.runtime.errors import SeedTuneError
from seedtune.runtime.files import sha256_of
from seedtune.runtime.task.compile import CompiledTask
from seedtune.runtime.task.example import Example


@dataclass(frozen=True)
class Split:
    """A data file: its rows, their tokens, and its fingerprint."""

    path: Path
    rows: list[Row]
    examples: list[Example]
    sha256: str


def load_split(path: Path, task: CompiledTask) -> Split:
    """Reads and encodes a data file.

    Raises:
        SeedTuneError: a row cannot be used; names file and line.
    """
    rows = read_rows(path, task.task)
    return Split(path, rows, encode_rows(rows, task, str(path)), sha256_of(path))


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
