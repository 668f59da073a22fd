"""Labelled rows from JSONL, CSV, TSV and Parquet files. Every complaint names the file and the line."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from seedtune.runtime.data.formats import READERS
from seedtune.runtime.errors import SeedTuneError
from seedtune.runtime.task.definition import Task


@dataclass(frozen=True)
class Row:
    """One row: the text of each field of the template, the label's place in ``task.labels``, the line it is from."""

    fields: dict[str, str]
    label: int | None
    line: int


def read_rows(path: Path, task: Task, *, require_label: bool = True) -> list[Row]:
    """The rows of ``path``, checked against ``task``; columns that the task does not name are ignored.

    Args:
        path: its ending says the format.
        task: names the fields, the label field and the labels.
        require_label: False for rows to predict.

    Raises:
        SeedTuneError: the file cannot be read, is empty, or has a row that the task cannot use.
    """
    reader = READERS.get(path.suffix.lower())
    if reader is None:
        raise SeedTuneError(
            "the format of a data file is told by its ending, and this one is unknown",
            file=path,
            value=path.suffix,
            rule=", ".join(READERS),
            remedy="one JSON object a line makes a .jsonl file" if path.suffix == ".json" else "convert the file",
        )
    if not path.is_file():
        raise SeedTuneError("no such data file", file=path, remedy="check the path")
    labels = _label_names(task)
    rows = [_row(record, line, path, task, labels, require_label) for line, record in reader(path)]
    if not rows:
        raise SeedTuneError("the data file has no rows", file=path, rule="at least one row")
    return rows


def _label_names(task: Task) -> dict[str, int]:
    """What may stand for a label in the data -> its place. Values win over names."""
    names: dict[str, int] = {}
    for index, label in enumerate(task.labels):
        names.setdefault(label.spoken, index)
        names.setdefault(label.word.strip(), index)
    return names | {label.value: index for index, label in enumerate(task.labels)}


def _row(
    record: Mapping[str, Any], line: int, path: Path, task: Task, labels: Mapping[str, int], require_label: bool
) -> Row:
    where = f"{path}:{line}"
    fields = {name: _text(record, name, where, task) for name in task.fields}
    label = None
    if require_label or task.label_field in record:
        given = _get(record, task.label_field, where)
        key = str(int(given)) if isinstance(given, int) else given
        if not isinstance(key, str) or key.strip() not in labels:
            values = ", ".join(repr(label.value) for label in task.labels)
            raise SeedTuneError(
                "unknown label",
                file=where,
                value=given,
                rule=f"one of {values}, or a label's name",
                remedy="correct the row, or add the label to the task",
            )
        label = labels[key.strip()]
    return Row(fields, label, line)


def _get(record: Mapping[str, Any], name: str, where: str) -> Any:
    if name in record and record[name] is not None:
        return record[name]
    close = difflib.get_close_matches(name, list(map(str, record)), 1)
    raise SeedTuneError(
        f"the field {name!r} is missing",
        file=where,
        value=_columns(record),
        rule=f"every row has {name!r}",
        remedy=f"did you mean to call {close[0]!r} {name!r}?" if close else "add the field, or change the task",
    )


def _columns(record: Iterable[str]) -> str:
    return "fields: " + ", ".join(map(str, record))


def _text(record: Mapping[str, Any], name: str, where: str, task: Task) -> str:
    value = _get(record, name, where)
    if not isinstance(value, str):
        raise SeedTuneError(f"the field {name!r} is not text", file=where, value=value, rule="a string")
    if not value.strip():
        raise SeedTuneError(
            f"the field {name!r} is empty", file=where, value=value, rule="some text", remedy="remove or fill the row"
        )
    if len(value) > task.max_characters:
        raise SeedTuneError(
            f"the field {name!r} is too long",
            file=where,
            value=f"{len(value):,} characters",
            rule=f"at most {task.max_characters:,}",
            remedy="shorten it, or raise max_characters in the task",
        )
    if "\0" in value:
        raise SeedTuneError(f"the field {name!r} holds a NUL character", file=where, value=value, rule="plain text")
    return value
