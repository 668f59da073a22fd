"""Delimiters and columns: the header decides, and columns that the task does not read are nobody's business."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from seedtune.runtime.data.rows import read_rows
from seedtune.runtime.errors import SeedTuneError
from seedtune.runtime.task.definition import Task

Write = Callable[[str, bytes | str], Path]
NAMES = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "bars"}


@pytest.mark.parametrize("quoted", [False, True])
@pytest.mark.parametrize("delimiter", NAMES)
@pytest.mark.parametrize("name", ["x.csv", "x.tsv"])
def test_a_table_is_read_between_the_delimiters_of_its_header(
    task: Task, write: Write, name: str, delimiter: str, quoted: bool
) -> None:
    table = [["text", "label"], ["a bad; dull, film | here", "0"], ["a great song", "1"]]
    if not quoted:
        table[1][0] = "".join("." if character in NAMES else character for character in table[1][0])
    mark = '"' if quoted else ""
    path = write(name, "".join(delimiter.join(mark + cell + mark for cell in cells) + "\r\n" for cells in table))
    rows = read_rows(path, task)
    assert [[row.fields["text"], str(row.label)] for row in rows] == table[1:]
    own = "," if name == "x.csv" else "\t"
    said = [] if delimiter == own else [f"{path}: separated by {NAMES[delimiter]}; 2 rows from 3 lines"]
    assert [notice.removesuffix(", the header among them") for notice in rows.notices] == said


def test_a_text_with_commas_does_not_make_a_table_with_semicolons_one_with_commas(task: Task, write: Write) -> None:
    rows = read_rows(write("x.csv", "text;label\na bad, dull film;0\n"), task)
    assert rows[0].fields["text"] == "a bad, dull film"


@pytest.mark.parametrize(
    ("header", "delimiter"),
    [("sentence;label", "semicolons"), ('"sentence";"label"', "semicolons"), ("text\tlabels", "tabs")],
)
def test_a_header_of_one_column_that_seems_to_be_several_is_named(
    task: Task, write: Write, header: str, delimiter: str
) -> None:
    path = write("x.csv", f"{header}\na film;0\n")
    with pytest.raises(SeedTuneError, match=f"seems to be separated by {delimiter}") as caught:
        read_rows(path, task)
    assert str(caught.value).startswith(f"{path}:1: the header is one column, {header!r}")
    assert "text, label" in str(caught.value)


@pytest.mark.parametrize("header", ["label,text,,,", "label,text,note,note,"])
def test_columns_that_are_not_read_may_share_a_name(task: Task, write: Write, header: str) -> None:
    path = write("x.csv", f"{header}\n0,a bad film,,,\n1,a great song,,,\n")
    assert [(row.fields["text"], row.label) for row in read_rows(path, task)] == [
        ("a bad film", 0),
        ("a great song", 1),
    ]


@pytest.mark.parametrize("header", ["text,text,label", "text,label,label"])
def test_columns_that_are_read_may_not(task: Task, write: Write, header: str) -> None:
    with pytest.raises(SeedTuneError, match="two columns have the same name"):
        read_rows(write("x.csv", f"{header}\na,b,0\n"), task)
