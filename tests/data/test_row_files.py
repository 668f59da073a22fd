"""Rows read the same from every format, and every faulty file is refused with its line."""

from __future__ import annotations

import builtins
import csv
import json
import random
from pathlib import Path
from typing import Any

import pytest

from seedtune.runtime.data.rows import Rows, read_rows
from seedtune.runtime.errors import SeedTuneError
from seedtune.runtime.task.definition import Label, Task

LABELS = (Label("0", " bad", "negative"), Label("1", " good", "positive"))
TASK = Task("t", "classification", "{text}:", LABELS, max_characters=40)


def table(count: int = 60) -> list[dict[str, str]]:
    generator = random.Random(5)
    alphabet = 'ab ,"\n\té😀\u2028;'
    return [
        {"text": "x" + "".join(generator.choices(alphabet, k=20)), "other": "o", "label": str(generator.randint(0, 1))}
        for _ in range(count)
    ]


def write(path: Path, content: str | bytes) -> Path:
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def write_delimited(path: Path, rows: list[dict[str, str]], delimiter: str) -> Path:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, ["text", "other", "label"], delimiter=delimiter)
        writer.writeheader()
        writer.writerows(rows)
    return path


@pytest.mark.parametrize(("values", "place"), [(("0", "1"), 1), (("true", "1"), 0)])
def test_truth_value_is_spelled_first_and_a_number_otherwise(
    tmp_path: Path, values: tuple[str, str], place: int
) -> None:
    labels = tuple(Label(value, word) for value, word in zip(values, (" bad", " good"), strict=True))
    path = write(tmp_path / "a.jsonl", '{"text": "a", "label": true}')
    assert read_rows(path, Task("t", "classification", "{text}:", labels))[0].label == place


def test_long_cell_leaves_the_csv_module_as_it_was(tmp_path: Path) -> None:
    before = csv.field_size_limit()
    with pytest.raises(SeedTuneError, match="150,000 characters"):
        read_rows(write(tmp_path / "a.csv", f"text,label\n{'x' * 150_000},0\n"), TASK)
    assert csv.field_size_limit() == before


def test_rows_to_predict_need_no_label_but_no_wrong_one(tmp_path: Path) -> None:
    path = write(tmp_path / "a.jsonl", '{"text": "a"}\n{"text": "b", "label": null}\n{"text": "c", "label": 1}')
    assert [row.label for row in read_rows(path, TASK, require_label=False)] == [None, None, 1]
    write(path, '{"text": "a", "label": 7}')
    with pytest.raises(SeedTuneError, match="unknown label"):
        read_rows(path, TASK, require_label=False)


ROW = '{"text": "a", "label": 0}\n'


@pytest.mark.parametrize(
    ("name", "content", "line", "message"),
    [
        ("a.jsonl", ROW + '{"text": " \\t", "label": 0}', 2, "is empty"),
        ("a.jsonl", ROW + '{"txt": "a", "label": 0}', 2, "did you mean to call 'txt' 'text'?"),
        ("a.jsonl", ROW + '{"txt": "a", "label": 0}', 2, "fields: txt, label"),
        ("a.jsonl", ROW + '{"text": null, "label": 0}', 2, "'text' is missing (null)"),
        ("a.jsonl", ROW + '{"text": "a"}', 2, "'label' is missing"),
        ("a.jsonl", ROW + '{"text": 5, "label": 0}', 2, "is not text"),
        ("a.jsonl", ROW + json.dumps({"text": "a" * 41, "label": 0}), 2, "41 characters"),
        ("a.jsonl", ROW + '{"text": "a\\u0000", "label": 0}', 2, "NUL"),
        ("a.jsonl", ROW + '{"text": "a\\ud800", "label": 0}', 2, "surrogate"),
        ("a.jsonl", ROW + '{"text": "a", "text": "b", "label": 0}', 2, "'text' stands twice"),
        ("a.jsonl", ROW + '{"text": "a" "label"}', 2, "column 14"),
        ("a.jsonl", ROW + "[1]", 2, "not a JSON object"),
        ("a.jsonl", ROW + "[" * 100_000, 2, "nested too deeply"),
        ("a.jsonl", ROW + '{"text": ' + "9" * 5000 + "}", 2, "not JSON"),
        ("a.jsonl", ROW.encode() + b'{"text": "\xff"}', 2, f"byte 0xff at offset {len(ROW) + 10}"),
        ("a.jsonl", ROW.encode("utf-16"), 1, "not UTF-8"),
        ("a.csv", "text,label\na,0\nb\0,1\n", 3, "NUL"),
        ("a.csv", "text,label\na,0\nb,1,2\n", 3, "another number of cells"),
        ("a.csv", 'text,label\na,0\n"b, c,1\n\n\n', 3, "cannot be read"),
        ("a.csv", "text,text,label\na,b,0\n", 1, "same name"),
        ("a.csv", "txet,label\na,0\n", 2, "did you mean to call 'txet' 'text'?"),
        ("a.tsv", "text\tlabel\n \t0\n", 2, "is empty"),
    ],
)
def test_faulty_file_is_refused_with_its_line(
    tmp_path: Path, name: str, content: str | bytes, line: int, message: str
) -> None:
    path = write(tmp_path / name, content)
    with pytest.raises(SeedTuneError) as caught:
        read_rows(path, TASK)
    assert str(caught.value).startswith(f"{path}:{line}: "), str(caught.value)
    assert message in str(caught.value)
    assert caught.value.remedy


def test_parquet_text_that_is_not_utf8_gives_its_row(tmp_path: Path) -> None:
    pyarrow = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    raw = pyarrow.array([b"fine", b"a\xff"], pyarrow.binary())
    text = pyarrow.Array.from_buffers(pyarrow.string(), 2, raw.buffers())
    path = tmp_path / "a.parquet"
    parquet.write_table(pyarrow.table({"text": text, "label": [0, 1]}), path)
    with pytest.raises(SeedTuneError) as caught:
        read_rows(path, TASK)
    assert str(caught.value).startswith(f"{path}:2: ")


def test_missing_pyarrow_names_the_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def without_pyarrow(name: str, *rest: Any, **named: Any) -> Any:
        if name.split(".")[0] == "pyarrow":
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
        return real(name, *rest, **named)

    path = write(tmp_path / "a.parquet", "x")
    monkeypatch.setattr(builtins, "__import__", without_pyarrow)
    with pytest.raises(SeedTuneError) as caught:
        read_rows(path, TASK)
    assert caught.value.remedy == 'pip install "seedtune[parquet]"'


def test_rows_to_predict_do_not_pass_for_labelled_ones(tmp_path: Path) -> None:
    path = write(tmp_path / "a.jsonl", '{"text": "a", "label": 1}\n{"text": "b"}\n')
    rows = read_rows(path, TASK, require_label=False)
    with pytest.raises(SeedTuneError, match="this row has no label") as caught:
        rows.labelled(TASK)
    assert str(caught.value).startswith(f"{path}:2: ")
    assert Rows(rows[:1]).labelled(TASK) == rows[:1]
