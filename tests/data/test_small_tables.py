"""All small tables of a few cells that matter, one by one: written quoted or unquoted, read back or refused."""

from __future__ import annotations

import csv
import itertools
from pathlib import Path

import pytest
from tables_lab import unquoted, written

from seedtune.runtime.data.rows import Rows, read_rows
from seedtune.runtime.errors import SeedTuneError
from seedtune.runtime.task.definition import Label, Task

TASK = Task("t", "classification", "{text}:", (Label("0", " bad", "negative"), Label("1", " good", "positive")))
COLUMNS = ("text", "label")
CELLS = ("a", '"a', 'a"', '"a"', '"', '""', '"a" a', 'a "b" a')


def read(path: Path, content: str) -> Rows | None:
    """The rows; None for a refusal."""
    path.write_bytes(content.encode())
    try:
        return read_rows(path, TASK)
    except SeedTuneError:
        return None


@pytest.mark.parametrize("columns", [("text", "label"), ("label", "text")])
@pytest.mark.parametrize("delimiter", [",", "\t"])
@pytest.mark.parametrize("length", [3, pytest.param(5, marks=pytest.mark.slow)])
def test_of_quoted_tables_those_with_rows_inside_a_cell_are_refused_and_the_others_read_back(
    tmp_path: Path, columns: tuple[str, ...], delimiter: str, length: int
) -> None:
    pieces = ["a", '"', "\n", delimiter, f"{delimiter}0\n" if columns == COLUMNS else f"\n0{delimiter}"]
    path = tmp_path / ("x.csv" if delimiter == "," else "x.tsv")
    refused = 0
    for size in range(1, length + 1):
        for text in map("".join, itertools.product(pieces, repeat=size)):
            if not text.strip():
                continue
            table = [{"text": text, "label": "0"}, {"text": "b", "label": "1"}]
            for quoting in (csv.QUOTE_MINIMAL, csv.QUOTE_ALL):
                rows = read(path, written(table, columns, delimiter=delimiter, quoting=quoting))
                if rows is None:
                    # What is refused has lines that a reader could take for rows.
                    assert "\n" in text
                    assert delimiter in text
                    refused += 1
                else:
                    assert [(row.fields["text"], row.label) for row in rows] == [(text, 0), ("b", 1)]
    assert refused


@pytest.mark.parametrize("delimiter", [",", "\t"])
def test_of_unquoted_tables_no_row_vanishes_and_no_quote_but_those_around_a_cell(
    tmp_path: Path, delimiter: str
) -> None:
    path = tmp_path / ("x.csv" if delimiter == "," else "x.tsv")
    outcomes = {"refused": 0, "read": 0}
    for texts in itertools.product(CELLS, repeat=3):
        table = [{"text": text, "label": str(place % 2)} for place, text in enumerate(texts)]
        rows = read(path, unquoted(table, COLUMNS, delimiter))
        outcomes["refused" if rows is None else "read"] += 1
        if rows is None:
            continue
        assert [row.label for row in rows] == [0, 1, 0]
        found = [row.fields["text"] for row in rows]
        if found == list(texts):
            continue
        # Read as quoted, which is right between commas if every quote pairs, and between tabs if all texts have them.
        assert found == [text.strip('"') if text == '"a"' else text for text in texts]
        assert delimiter == "," or set(texts) == {'"a"'}
    assert outcomes["read"] > 100
    assert outcomes["refused"] > 10
