"""Data files to rows, against json, csv and pyarrow; and every complaint with its file and line."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from seedtune.runtime.data.rows import read_rows
from seedtune.runtime.errors import SeedTuneError
from seedtune.runtime.task.definition import Task

Write = Callable[[str, bytes | str], Path]
TEXTS = ["plain", 'said "no", twice', "two\nlines", "tab\there", "größer 😀 文", " edge ", "a,b;c", "\\n literally"]


def csv_text(delimiter: str, terminator: str, rows: list[tuple[str, str]]) -> str:
    out = io.StringIO(newline="")
    writer = csv.writer(out, delimiter=delimiter, lineterminator=terminator)
    writer.writerow(["text", "label", "note"])
    for text, label in rows:
        writer.writerow([text, label, "ignored"])
    return out.getvalue()


def jsonl_text(rows: Sequence[tuple[str, object]], end: str = "\n") -> str:
    return "".join(json.dumps({"text": text, "label": label, "note": 1}) + end for text, label in rows)


@pytest.mark.parametrize("bom", ["", "\ufeff"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize("name", ["rows.jsonl", "rows.ndjson", "rows.csv", "rows.tsv", "ROWS.CSV"])
def test_every_text_format_gives_the_same_rows(task: Task, write: Write, name: str, end: str, bom: str) -> None:
    pairs = [(text, str(index % 2)) for index, text in enumerate(TEXTS)]
    if name.endswith((".jsonl", ".ndjson")):
        content = jsonl_text(pairs, end)
    else:
        content = csv_text("\t" if name.endswith(".tsv") else ",", end, pairs)
    rows = read_rows(write(name, bom + content), task)
    assert [(row.fields["text"], row.label) for row in rows] == [(text, int(label)) for text, label in pairs]


def test_parquet_gives_the_rows_of_pyarrow(task: Task, tmp_path: Path) -> None:
    pyarrow = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    labels = [index % 2 for index in range(len(TEXTS))]
    table = pyarrow.table({"text": TEXTS, "label": labels, "note": [1.5] * len(TEXTS)})
    parquet.write_table(table, tmp_path / "rows.parquet", row_group_size=3)
    rows = read_rows(tmp_path / "rows.parquet", task)
    assert [(row.fields["text"], row.label, row.line) for row in rows] == [
        (text, label, number) for number, (text, label) in enumerate(zip(TEXTS, labels, strict=True), 1)
    ]


def test_a_parquet_file_that_is_none_is_named(task: Task, write: Write) -> None:
    pytest.importorskip("pyarrow")
    with pytest.raises(SeedTuneError, match=r"rows\.parquet"):
        read_rows(write("rows.parquet", b"PAR1 but not really"), task)


def test_a_null_in_parquet_is_a_missing_field(task: Task, tmp_path: Path) -> None:
    pyarrow = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    parquet.write_table(pyarrow.table({"text": ["a", None], "label": ["0", "1"]}), tmp_path / "rows.parquet")
    with pytest.raises(SeedTuneError, match=r"rows\.parquet:2: .*'text' is missing"):
        read_rows(tmp_path / "rows.parquet", task)


def test_line_numbers_count_blank_lines(task: Task, write: Write) -> None:
    path = write("rows.jsonl", '\n{"text": "a", "label": "0"}\n  \n\r\n{"text": "b", "label": "1"}\n\n')
    assert [row.line for row in read_rows(path, task)] == [2, 5]


def test_a_line_separator_inside_a_json_string_does_not_end_the_line(task: Task, write: Write) -> None:
    path = write("rows.jsonl", '{"text": "a\u2028b\u0085c\x0bd", "label": "0"}\n'.replace("\x0b", "\\u000b"))
    rows = read_rows(path, task)
    assert rows[0].fields["text"] == "a\u2028b\u0085c\x0bd"


@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_csv_line_numbers_count_quoted_line_breaks_and_blank_lines(task: Task, write: Write, end: str) -> None:
    lines = ["text,label", '"one', "two", 'three",0', "", "plain,1", '"x', 'y",0']
    path = write("rows.csv", end.join(lines) + end)
    rows = read_rows(path, task)
    # What an editor shows: rows begin on lines 2, 6 and 7; line 5 is blank.
    assert [row.line for row in rows] == [2, 6, 7]
    assert rows[0].fields["text"] == f"one{end}two{end}three"


@pytest.mark.parametrize("given", ["1", 1, "positive", True, " 1 ", "good"])
def test_a_label_may_be_its_value_an_integer_or_its_name(task: Task, write: Write, given: object) -> None:
    rows = read_rows(write("rows.jsonl", jsonl_text([("a", given)])), task)
    assert rows[0].label == 1


def test_a_value_wins_over_a_name_and_the_place_is_the_tasks(write: Write) -> None:
    from seedtune.runtime.task.definition import parse_task

    task = parse_task(
        'name="t"\nkind="classification"\ntemplate="{text}:"\n'
        'labels=[{value="yes",word=" a"},{value="7",word=" b"},{value="no",word=" c"}]',
        "test",
    )
    rows = read_rows(write("rows.jsonl", jsonl_text([("x", "no"), ("x", 7), ("x", "yes"), ("x", "c")])), task)
    assert [row.label for row in rows] == [2, 1, 0, 2]


@pytest.mark.parametrize("given", ["2", 2, "neutral", "", "0.0", 1.0, [1], {"a": 1}, -1, "Positive!"])
def test_an_unknown_label_names_line_value_and_menu(task: Task, write: Write, given: object) -> None:
    path = write("rows.jsonl", jsonl_text([("fine", "0"), ("bad", given)]))
    with pytest.raises(SeedTuneError) as caught:
        read_rows(path, task)
    assert f"{path}:2: unknown label" in str(caught.value)
    assert "'0'" in str(caught.value)
    assert "'1'" in str(caught.value)


def test_rows_to_predict_need_no_label(task: Task, write: Write) -> None:
    path = write("rows.jsonl", '{"text": "a"}\n')
    assert read_rows(path, task, require_label=False)[0].label is None
    with pytest.raises(SeedTuneError, match="'label' is missing"):
        read_rows(path, task)


def json_line(**fields: object) -> str:
    return json.dumps(fields) + "\n"


GOOD = json_line(text="fine", label="0")
BAD_ROWS: dict[str, tuple[str, str | bytes, int, str]] = {
    "empty text": ("r.jsonl", GOOD + json_line(text="", label="0"), 2, "'text' is empty"),
    "blank text": ("r.jsonl", GOOD + json_line(text=" \t\n", label="0"), 2, "'text' is empty"),
    "missing field": ("r.jsonl", GOOD + json_line(label="0"), 2, "'text' is missing"),
    "null field": ("r.jsonl", GOOD + json_line(text=None, label="0"), 2, "'text' is missing"),
    "null label": ("r.jsonl", GOOD + json_line(text="x", label=None), 2, "'label' is missing"),
    "did you mean": ("r.jsonl", GOOD + json_line(txt="x", label="0"), 2, "did you mean .*'txt'"),
    "did you mean the label": ("r.jsonl", GOOD + json_line(text="x", lable="0"), 2, "did you mean .*'lable'"),
    "number": ("r.jsonl", GOOD + json_line(text=5, label="0"), 2, "'text' is not text"),
    "list": ("r.jsonl", GOOD + json_line(text=["a"], label="0"), 2, "'text' is not text"),
    "too long": ("r.jsonl", GOOD + json_line(text="x" * 100_001, label="0"), 2, r"100,001 characters"),
    "NUL in JSON": ("r.jsonl", GOOD + json_line(text="a\0b", label="0"), 2, "NUL"),
    "NUL in CSV": ("r.csv", "text,label\nok,0\na\0b,0\n", 3, "NUL"),
    "not UTF-8": ("r.jsonl", GOOD.encode() + b'{"text": "caf\xe9", "label": "0"}\n', 2, "0xe9"),
    "not UTF-8, CSV": ("r.csv", b"text,label\nok,0\ncaf\xe9,0\n", 3, "0xe9"),
    "UTF-16": ("r.jsonl", GOOD.encode("utf-16"), 1, "not UTF-8"),
    "bad JSON": ("r.jsonl", GOOD + '{"text": "x", "label" "0"}\n', 2, "column 23"),
    "cut JSON": ("r.jsonl", GOOD + '{"text": "x', 2, "column"),
    "JSON array": ("r.jsonl", GOOD + '["x", "0"]\n', 2, "not a JSON object"),
    "JSON number": ("r.jsonl", GOOD + "5\n", 2, "not a JSON object"),
    "JSON, deep": ("r.jsonl", GOOD + "[" * 200_000 + "\n", 2, "nested too deeply|not JSON"),
    "JSON, long number": ("r.jsonl", GOOD + '{"text": "x", "label": ' + "1" * 5_000 + "}\n", 2, "not JSON|label"),
    "lone surrogate": ("r.jsonl", GOOD + '{"text": "a\\ud800b", "label": "0"}\n', 2, "surrogate|not text|Unicode"),
    "ragged, long": ("r.csv", "text,label\na,0\nb,1,2\n", 3, "number of cells"),
    "ragged, short": ("r.csv", 'text,label\n"a\nb",0\nb\n', 4, "number of cells"),
    "ragged TSV": ("r.tsv", "text\tlabel\na\t0\nb, 1\n", 3, "number of cells"),
    "open quote": ("r.csv", 'text,label\na,0\n"b, c,1\n', 3, "cannot be read"),
    "junk behind a quote": ("r.csv", 'text,label\na,0\n"b, "c,1\n', 3, "cannot be read"),
    "twice the same column": ("r.csv", "text,text,label\na,b,0\n", 1, "same name"),
    "missing column": ("r.csv", "txt,label\na,0\n", 2, "did you mean .*'txt'"),
}  # fmt: skip


@pytest.mark.parametrize("case", BAD_ROWS)
def test_a_bad_row_is_refused_with_file_and_line(task: Task, write: Write, case: str) -> None:
    name, content, line, message = BAD_ROWS[case]
    path = write(name, content)
    with pytest.raises(SeedTuneError, match=message) as caught:
        read_rows(path, task)
    assert str(caught.value).startswith(f"{path}:{line}: ")
    assert len(str(caught.value)) < 2000


def test_exactly_the_allowed_length_is_read(task: Task, write: Write) -> None:
    rows = read_rows(write("r.jsonl", json_line(text="x" * 100_000, label="0")), task)
    assert len(rows[0].fields["text"]) == 100_000


def test_a_csv_cell_may_be_as_long_as_the_task_allows(write: Write) -> None:
    """The csv module has a limit of its own, 131,072 characters."""
    from seedtune.runtime.task.definition import parse_task

    task = parse_task(
        'name="t"\nkind="classification"\ntemplate="{text}:"\nmax_characters=200000\n'
        'labels=[{value="0",word=" a"},{value="1",word=" b"}]',
        "test",
    )
    rows = read_rows(write("r.csv", f"text,label\n{'x' * 150_000},0\n"), task)
    assert len(rows[0].fields["text"]) == 150_000


@pytest.mark.parametrize("content", ["", "\n\n", "\ufeff", "  \n"])
def test_an_empty_file_is_refused(task: Task, write: Write, content: str) -> None:
    path = write("r.jsonl", content)
    with pytest.raises(SeedTuneError, match="no rows") as caught:
        read_rows(path, task)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize("content", ["", "text,label\n"])
def test_a_table_without_rows_is_refused(task: Task, write: Write, content: str) -> None:
    with pytest.raises(SeedTuneError, match=r"r\.csv: .*no rows"):
        read_rows(write("r.csv", content), task)


@pytest.mark.parametrize("name", ["r.txt", "r.json", "r", "r.jsonl.gz", "r.xlsx"])
def test_an_unknown_ending_lists_those_that_are_read(task: Task, write: Write, name: str) -> None:
    with pytest.raises(SeedTuneError) as caught:
        read_rows(write(name, GOOD), task)
    assert name in str(caught.value)
    assert ".jsonl, .ndjson, .csv, .tsv, .parquet" in str(caught.value)


def test_a_missing_file_or_a_folder_is_named(task: Task, tmp_path: Path) -> None:
    (tmp_path / "folder.csv").mkdir()
    for name in ("gone.jsonl", "folder.csv"):
        with pytest.raises(SeedTuneError, match=name):
            read_rows(tmp_path / name, task)
