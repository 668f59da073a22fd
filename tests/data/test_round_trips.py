"""Any table that a common writer makes is read back as it was, or refused; never otherwise."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import event, given
from hypothesis import strategies as st
from tables_lab import COLUMNS, LINES, TEXTS, Table, tables, unquoted, written

from seedtune.runtime.data.rows import Rows, read_rows
from seedtune.runtime.errors import SeedTuneError
from seedtune.runtime.task.definition import Label, Task

TASK = Task("t", "classification", "{text}:", (Label("0", " bad", "negative"), Label("1", " good", "positive")))
QUOTINGS = {"all": csv.QUOTE_ALL, "minimal": csv.QUOTE_MINIMAL, "non-numeric": csv.QUOTE_NONNUMERIC}
ENDINGS = {",": "x.csv", ";": "x.csv", "\t": "x.tsv", "|": "x.csv"}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("tables")


def read(path: Path, content: str | bytes) -> Rows | None:
    """The rows; None for a refusal."""
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    try:
        rows = read_rows(path, TASK)
    except SeedTuneError:
        event("refused")
        return None
    event("read")
    return rows


def pairs(rows: Rows) -> list[tuple[str, int | None]]:
    return [(row.fields["text"], row.label) for row in rows]


def expected(table: Table) -> list[tuple[str, int | None]]:
    return [(row["text"], int(row["label"])) for row in table]


@given(
    table=tables(TEXTS),
    columns=COLUMNS,
    delimiter=st.sampled_from(sorted(ENDINGS)),
    quoting=st.sampled_from(sorted(QUOTINGS)),
    end=st.sampled_from(["\n", "\r\n"]),
    bom=st.sampled_from(["", "\ufeff"]),
)
def test_tables_of_the_csv_module_read_back_or_are_refused(
    folder: Path, table: Table, columns: Sequence[str], delimiter: str, quoting: str, end: str, bom: str
) -> None:
    text = written(table, columns, delimiter=delimiter, quoting=QUOTINGS[quoting], lineterminator=end)
    rows = read(folder / ENDINGS[delimiter], bom + text)
    if rows is not None:
        assert pairs(rows) == expected(table)


@given(
    table=tables(LINES),
    columns=COLUMNS,
    delimiter=st.sampled_from(sorted(ENDINGS)),
    quoting=st.sampled_from(sorted(QUOTINGS)),
)
def test_quoted_tables_without_line_breaks_are_never_refused(
    folder: Path, table: Table, columns: Sequence[str], delimiter: str, quoting: str
) -> None:
    text = written(table, columns, delimiter=delimiter, quoting=QUOTINGS[quoting])
    rows = read(folder / ENDINGS[delimiter], text)
    assert rows is not None
    assert pairs(rows) == expected(table)


@given(table=tables(LINES), columns=COLUMNS, delimiter=st.sampled_from([",", "\t"]))
def test_of_an_unquoted_table_no_row_vanishes(
    folder: Path, table: Table, columns: Sequence[str], delimiter: str
) -> None:
    table = [row | {name: row[name].replace(delimiter, " ") for name in ("text", "note")} for row in table]
    table = [row for row in table if row["text"].strip()]
    if not table:
        return
    rows = read(folder / ENDINGS[delimiter], unquoted(table, columns, delimiter))
    if rows is None:
        return
    assert [row.label for row in rows] == [label for _, label in expected(table)]
    for row, (text, _) in zip(rows, expected(table), strict=True):
        # Quotes around a whole cell quote, unless something in the file says that they do not.
        assert row.fields["text"] in (text, text[1:-1].replace('""', '"') if text[:1] == text[-1:] == '"' else text)


@given(table=tables(LINES), columns=COLUMNS)
def test_an_unquoted_table_that_is_called_so_reads_back(folder: Path, table: Table, columns: Sequence[str]) -> None:
    table = [row | {name: row[name].replace("\t", " ") for name in ("text", "note")} for row in table]
    table = [row | {"text": row["text"] + "."} for row in table]
    (folder / "x.tsv").write_text(unquoted(table, columns, "\t"), "utf-8", newline="")
    assert pairs(read_rows(folder / "x.tsv", TASK, data_format="tsv-unquoted")) == expected(table)


@given(table=tables(TEXTS), delimiter=st.sampled_from([",", "\t"]), style=st.sampled_from(["needed", "all_valid"]))
def test_tables_of_pyarrow_read_back_or_are_refused(folder: Path, table: Table, delimiter: str, style: str) -> None:
    pyarrow = pytest.importorskip("pyarrow")
    arrow_csv = pytest.importorskip("pyarrow.csv")
    out = io.BytesIO()
    labels = [int(row["label"]) for row in table]
    columns = pyarrow.table({"text": [row["text"] for row in table], "label": labels})
    options = arrow_csv.WriteOptions(delimiter=delimiter, quoting_style=style)
    arrow_csv.write_csv(columns, out, options)
    rows = read(folder / ENDINGS[delimiter], out.getvalue())
    assert rows is not None
    assert pairs(rows) == expected(table)


PLAIN = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1).filter(str.strip)


@given(table=tables(PLAIN), ascii_only=st.booleans(), end=st.sampled_from(["\n", "\r\n"]), extra=st.booleans())
def test_json_lines_read_back(folder: Path, table: Table, ascii_only: bool, end: str, extra: bool) -> None:
    records = [row | ({"meta": {"text": [row["note"], None, 1.5]}} if extra else {}) for row in table]
    text = "".join(json.dumps(record, ensure_ascii=ascii_only) + end for record in records)
    rows = read(folder / "x.jsonl", text)
    assert rows is not None
    assert pairs(rows) == expected(table)


@given(table=tables(PLAIN), indent=st.sampled_from([0, 2]))
def test_json_over_several_lines_is_refused(folder: Path, table: Table, indent: int) -> None:
    assert read(folder / "x.jsonl", "".join(json.dumps(row, indent=indent) + "\n" for row in table)) is None


TEXT_TYPES = ["string", "large_string", "string_view", "dictionary"]


@given(
    table=tables(PLAIN),
    text_type=st.sampled_from(TEXT_TYPES),
    label_type=st.sampled_from(["int8", "uint64", "string", "bool_", "dictionary"]),
    group=st.integers(1, 3),
    version=st.sampled_from(["1.0", "2.4", "2.6"]),
)
def test_parquet_reads_back(
    folder: Path, table: Table, text_type: str, label_type: str, group: int, version: str
) -> None:
    pyarrow = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")

    def column(values: list[Any], name: str) -> Any:
        if name == "dictionary":
            return pyarrow.array(values).dictionary_encode()
        return pyarrow.array(values, getattr(pyarrow, name)())

    labels: list[Any] = [row["label"] for row in table]
    if label_type not in ("string", "dictionary"):
        labels = [int(label) if label_type != "bool_" else label == "1" for label in labels]
    made = pyarrow.table(
        {"text": column([row["text"] for row in table], text_type), "label": column(labels, label_type)}
    )
    out = io.BytesIO()
    parquet.write_table(made, out, row_group_size=group, version=version)
    rows = read(folder / "x.parquet", out.getvalue())
    assert rows is not None
    assert pairs(rows) == expected(table)
