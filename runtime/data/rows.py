"""Labelled rows from JSONL, CSV, TSV and Parquet files. Every complaint names the file and the line."""

from __future__ import annotations

import difflib
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from seedtune.runtime.data.formats import Reader, Wanted, read_jsonl
from seedtune.runtime.data.messages import from_messages
from seedtune.runtime.data.parquet import read_parquet
from seedtune.runtime.data.source import Source
from seedtune.runtime.data.tables import read_csv, read_tsv
from seedtune.runtime.errors import SeedTuneError
from seedtune.runtime.task.definition import Task


@dataclass(frozen=True)
class Row:
    """One row of a data file.

    Attributes:
        fields: the text of each field of the template, and of the response.
        label: the label's place in ``task.labels``, or None for a row without one and in a completion task.
        line: the physical line it begins at, or its row number in a Parquet file, from 1.
    """

    fields: dict[str, str]
    label: int | None
    line: int


class Rows(list[Row]):
    """The rows of a data file, or rows that were there already.

    Attributes:
        source: where they are from; None for rows that were there.
        notices: what a person should know of how the file was read.
    """

    def __init__(self, rows: Iterable[Row], source: Source | None = None, notices: Sequence[str] = ()) -> None:
        super().__init__(rows)
        self.source = source
        self.notices = tuple(notices)

    @property
    def where(self) -> str:
        """Names their source in messages."""
        return "row" if self.source is None else str(self.source)

    def labelled(self, task: Task) -> Rows:
        """These rows; raises SeedTuneError when ``task`` has labels and one of them has none."""
        for row in self if task.labels else ():
            if row.label is None:
                raise SeedTuneError(
                    "this row has no label", file=f"{self.where}:{row.line}", rule="a label", remedy="label it"
                )
        return self


READERS: dict[str, Reader] = {
    "jsonl": read_jsonl,
    "csv": read_csv,
    "tsv": read_tsv,
    "parquet": read_parquet,
}


def read_rows(
    path: str | os.PathLike[str], task: Task, require_label: bool = True, data_format: str | None = None
) -> Rows:
    """The rows of ``path``, checked against ``task``; columns that the task does not name are ignored.

    Args:
        path: a file or a pipe, or "-" for standard input.
        task: names the fields, the label field and the labels.
        require_label: False for rows to predict or to go on with, which need no label and no response; what is there
            must be right all the same.
        data_format: see `data.source.FORMATS`; None for what its ending says: .jsonl or .ndjson, .csv, .tsv, .parquet.

    Raises:
        SeedTuneError: the file cannot be read, is empty, or has a row that the task cannot use.
    """
    source = Source(path, data_format)
    labels, notices = _label_names(task), list[str]()

    def fits(record: Mapping[str, Any]) -> bool:
        try:
            _row(record, 0, "", task, labels, require_label)
        except SeedTuneError:
            return False
        return True

    fields = (*task.fields, *task.response_fields)
    label = () if task.kind == "completion" else (task.label_field,)
    needed = (*fields, *label) if require_label else task.fields
    wanted = Wanted((*fields, *label), needed, fits, notices.append)
    reader = READERS[source.format.partition("-")[0]]
    rows = _rows(reader(source, wanted), str(source), task, require_label)
    return Rows(rows, source, notices)


def rows_of(records: Iterable[Mapping[str, Any]], task: Task, require_label: bool = True) -> Rows:
    """Rows that are there already, checked as those of a file; see :func:`read_rows`.

    Raises:
        SeedTuneError: there is none, or one that the task cannot use; names it by its place, from 1.
    """
    return Rows(_rows(enumerate(records, 1), "row", task, require_label))


def checked(records: Iterable[tuple[int, Mapping[str, Any]]], source: str, task: Task, require_label: bool) -> Rows:
    """Rows of ``records``, each with its line of ``source``, checked as those of a file; see :func:`read_rows`."""
    return Rows(_rows(records, source, task, require_label))


def _rows(records: Iterable[tuple[int, Mapping[str, Any]]], source: str, task: Task, require_label: bool) -> list[Row]:
    labels = _label_names(task)
    rows = [_row(record, line, source, task, labels, require_label) for line, record in records]
    if not rows:
        raise SeedTuneError("there are no rows", file=source, rule="at least one row", remedy="give some rows")
    return rows


def _label_names(task: Task) -> dict[str, int]:
    """What may stand for a label in the data -> its place: values, names, and words that are no other's name."""
    names = {label.word.strip(): index for index, label in enumerate(task.labels)}
    spoken = [label.word.strip() for label in task.labels]
    names = {word: index for word, index in names.items() if spoken.count(word) == 1}
    names |= {label.name.strip(): index for index, label in enumerate(task.labels)}
    return names | {label.value: index for index, label in enumerate(task.labels)}


def _row(
    record: Mapping[str, Any],
    line: int,
    source: str,
    task: Task,
    labels: Mapping[str, int],
    require_label: bool,
) -> Row:
    where = f"{source}:{line}"
    record = from_messages(record, task, where, require_label)
    # A prompt is a row of a completion task whose response is not there yet.
    responses = [name for name in task.response_fields if require_label or record.get(name) is not None]
    fields = {name: _text(record, name, where, task) for name in (*task.fields, *responses)}
    if task.kind == "completion":
        return Row(fields, None, line)
    if not require_label and record.get(task.label_field) in (None, ""):
        return Row(fields, None, line)
    given = _get(record, task.label_field, where)
    key = _label_text(given, labels)
    if key is None or key not in labels:
        values = ", ".join(f"{label.value!r} ({label.name})" for label in task.labels)
        close = difflib.get_close_matches((key or "").lower(), list(labels), 1)
        raise SeedTuneError(
            "unknown label",
            file=where,
            value=given,
            rule=f"one of {values}",
            remedy=f"did you mean {close[0]!r}?" if close else "correct the row, or add the label to the task",
        )
    return Row(fields, labels[key], line)


def _label_text(given: object, labels: Mapping[str, int]) -> str | None:
    """How a label of the data is looked up: a number as its digits, a truth value as JSON spells it or as 0 and 1."""
    if isinstance(given, bool):
        spelled = "true" if given else "false"
        return spelled if spelled in labels else str(int(given))
    if isinstance(given, int):
        return str(given)
    return given.strip() if isinstance(given, str) else None


def _get(record: Mapping[str, Any], name: str, where: str) -> Any:
    if record.get(name) is not None:
        return record[name]
    close = difflib.get_close_matches(name, [column for column in record if column != name], 1)
    raise SeedTuneError(
        f"the field {name!r} is missing{' (null)' if name in record else ''}",
        file=where,
        value="fields: " + ", ".join(map(str, record)),
        rule=f"every row has {name!r}",
        remedy=f"did you mean to call {close[0]!r} {name!r}?" if close else "add the field, or change the task",
    )


def _text(record: Mapping[str, Any], name: str, where: str, task: Task) -> str:
    value = _get(record, name, where)
    if not isinstance(value, str):
        raise SeedTuneError(
            f"the field {name!r} is not text", file=where, value=value, rule="a string", remedy="write it as a string"
        )
    if not value.strip():
        raise SeedTuneError(
            f"the field {name!r} is empty",
            file=where,
            value=value,
            rule="some text",
            remedy="remove or fill the row",
        )
    if len(value) > task.max_characters:
        raise SeedTuneError(
            f"the field {name!r} is too long",
            file=where,
            value=f"{len(value):,} characters",
            rule=f"at most {task.max_characters:,}",
            remedy="shorten it, or raise max_characters in the task",
        )
    # A JSON escape can spell half a surrogate pair, which no tokenizer takes and no file can hold.
    surrogate = next((character for character in value if "\ud800" <= character <= "\udfff"), None)
    if "\0" in value or surrogate is not None:
        raise SeedTuneError(
            f"the field {name!r} holds {'a NUL character' if surrogate is None else 'half of a surrogate pair'}",
            file=where,
            value=value,
            rule="plain text",
            remedy="remove the character",
        )
    return value
