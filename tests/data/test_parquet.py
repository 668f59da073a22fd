"""Parquet: whatever stands beside the columns of the task, and what cannot stand in them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from seedtune.runtime.data.rows import read_rows
from seedtune.runtime.errors import SeedTuneError
from seedtune.runtime.task.definition import Task

pyarrow = pytest.importorskip("pyarrow")
parquet = pytest.importorskip("pyarrow.parquet")
TEXTS = ["a bad film", "a great song"]
TYPES: dict[str, Any] = {
    "timestamp[ns]": pyarrow.array([1, 1577836800123456789], pyarrow.timestamp("ns")),
    "timestamp[s], beyond 9999": pyarrow.array([0, 300_000_000_000], pyarrow.timestamp("s")),
    "timestamp of an unknown zone": pyarrow.array([0, 1], pyarrow.timestamp("us", tz="Mars/Olympus")),
    "duration[ns]": pyarrow.array([1, 2], pyarrow.duration("ns")),
    "time64[ns]": pyarrow.array([1, 123_456_789], pyarrow.time64("ns")),
    "date beyond 9999": pyarrow.array([0, 3_000_000], pyarrow.date32()),
    "struct": pyarrow.StructArray.from_arrays([pyarrow.array([1, 2])] * 2, names=["a", "a"]),
    "list": pyarrow.array([["a"], ["b"]]),
    "map": pyarrow.array([[("a", 1), ("a", 2)], []], pyarrow.map_(pyarrow.string(), pyarrow.int64())),
}


@pytest.mark.parametrize("int96", [False, True])
@pytest.mark.parametrize("kind", TYPES)
@pytest.mark.parametrize("name", ["created", "text.created"])
def test_a_column_that_is_not_read_may_be_of_any_type(
    task: Task, tmp_path: Path, kind: str, name: str, int96: bool
) -> None:
    table = pyarrow.table({name: TYPES[kind], "text": TEXTS, "label": [0, 1]})
    parquet.write_table(table, tmp_path / "x.parquet", use_deprecated_int96_timestamps=int96)
    rows = read_rows(tmp_path / "x.parquet", task)
    assert [(row.fields["text"], row.label, row.line) for row in rows] == [(TEXTS[0], 0, 1), (TEXTS[1], 1, 2)]


@pytest.mark.parametrize("kind", TYPES)
@pytest.mark.parametrize("name", ["text", "label"])
def test_a_column_that_is_read_and_of_such_a_type_is_named_with_it(
    task: Task, tmp_path: Path, kind: str, name: str
) -> None:
    table = pyarrow.table({"text": TEXTS, "label": [0, 1]} | {name: TYPES[kind]})
    parquet.write_table(table, tmp_path / "x.parquet")
    with pytest.raises(SeedTuneError, match=f"the column '{name}' is of a type") as caught:
        read_rows(tmp_path / "x.parquet", task)
    read_back = parquet.read_schema(tmp_path / "x.parquet").field(name).type
    assert caught.value.value == str(read_back)


@pytest.mark.parametrize(
    ("texts", "labels"),
    [
        (pyarrow.array(TEXTS, pyarrow.large_string()), pyarrow.array([0, 1], pyarrow.uint8())),
        (pyarrow.array(TEXTS, pyarrow.string_view()), pyarrow.array([False, True])),
        (pyarrow.array(TEXTS).dictionary_encode(), pyarrow.array(["negative", "positive"]).dictionary_encode()),
    ],
)
def test_texts_and_labels_of_every_plain_type_are_read(
    task: Task, tmp_path: Path, texts: object, labels: object
) -> None:
    parquet.write_table(pyarrow.table({"text": texts, "label": labels}), tmp_path / "x.parquet")
    rows = read_rows(tmp_path / "x.parquet", task)
    assert [(row.fields["text"], row.label) for row in rows] == [(TEXTS[0], 0), (TEXTS[1], 1)]


def test_a_missing_column_is_told_with_those_that_there_are(task: Task, tmp_path: Path) -> None:
    parquet.write_table(
        pyarrow.table({"txt": TEXTS, "label": [0, 1], "at": TYPES["duration[ns]"]}), tmp_path / "x.parquet"
    )
    with pytest.raises(SeedTuneError, match="'text' is missing") as caught:
        read_rows(tmp_path / "x.parquet", task)
    assert "fields: txt, label, at" in str(caught.value)
    assert "did you mean to call 'txt' 'text'?" in str(caught.value)


def test_equal_names_matter_where_they_are_read_only(task: Task, tmp_path: Path) -> None:
    for names, message in ((["text", "label", "x", "x"], ""), (["text", "label", "text", "x"], "same name")):
        arrays = [pyarrow.array(TEXTS), pyarrow.array([0, 1]), pyarrow.array([1, 2]), pyarrow.array([3, 4])]
        parquet.write_table(pyarrow.Table.from_arrays(arrays, names=names), tmp_path / "x.parquet")
        if not message:
            assert len(read_rows(tmp_path / "x.parquet", task)) == 2
            continue
        with pytest.raises(SeedTuneError, match=message):
            read_rows(tmp_path / "x.parquet", task)
