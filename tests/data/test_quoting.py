"""Quotes of a table quote or are text, as the whole file says; nothing is guessed, and no row vanishes unsaid."""

from __future__ import annotations

import csv
import random
from collections.abc import Callable
from pathlib import Path
from typing import Literal

import pytest

from seedtune.runtime.data.rows import Rows, read_rows
from seedtune.runtime.errors import SeedTuneError
from seedtune.runtime.task.definition import Task

Write = Callable[[str, bytes | str], Path]


def pairs(rows: Rows) -> list[tuple[str, int | None]]:
    return [(row.fields["text"], row.label) for row in rows]


UNQUOTED = {
    "one quote at the start of a cell": ('"a bad film\t0\na great song\t1\n', ['"a bad film', "a great song"]),
    "two quotes far apart, both in front": (
        '"a bad film\t0\n' + "dull\t0\n" * 500 + '"a great song\t1\n',
        ['"a bad film', *["dull"] * 500, '"a great song'],
    ),
    "text behind a closing quote": ('"Star Wars" is great\t1\nno\t0\n', ['"Star Wars" is great', "no"]),
    "one text wholly in quotes beside a lone quote": (
        '" i love it "\t1\n" he said\t0\nplain\t0\n',
        ['" i love it "', '" he said', "plain"],
    ),
    "rows that would be swallowed, before a quote that cannot quote": (
        '" a\t0\nb "\t1\n"Star Wars" is great\t1\n',
        ['" a', 'b "', '"Star Wars" is great'],
    ),
    "CR LF": ('"a bad film\t0\r\na great song\t1\r\n', ['"a bad film', "a great song"]),
    "blank lines": ('"a bad film\t0\n\na great song\t1\n\n', ['"a bad film', "a great song"]),
    "no line end": ('a great song\t1\n"a bad film\t0', ["a great song", '"a bad film']),
}


@pytest.mark.parametrize("case", UNQUOTED)
def test_quotes_that_cannot_quote_are_text_and_the_notice_says_so(task: Task, write: Write, case: str) -> None:
    content, texts = UNQUOTED[case]
    end = "\r\n" if "\r\n" in content else "\n"
    path = write("x.tsv", f"text\tlabel{end}{content}")
    rows = read_rows(path, task)
    assert [text for text, _ in pairs(rows)] == texts
    lines = len(path.read_bytes().decode().splitlines())
    assert len(rows.notices) == 1
    assert rows.notices[0].startswith(f"{path}: its quotes are text")
    assert f"{len(texts)} rows from {lines} lines" in rows.notices[0]


def test_a_table_like_those_of_glue_is_read_as_it_was_written(task: Task, write: Write) -> None:
    generator = random.Random(3)
    words = ["film", '"', '"great"', "the", "it 's", "``", "''", '"so']
    texts = [" ".join(generator.choices(words, k=5)) for _ in range(300)]
    path = write("x.tsv", "text\tlabel\n" + "".join(f"{text}\t{place % 2}\n" for place, text in enumerate(texts)))
    rows = read_rows(path, task)
    with path.open(newline="") as file:
        written = list(csv.reader(file, delimiter="\t", quoting=csv.QUOTE_NONE))[1:]
    assert pairs(rows) == [(text, int(label)) for text, label in written]
    assert "300 rows from 301 lines" in rows.notices[0]


QUOTED = {
    "line breaks, as pandas writes them": ("x.csv", '"one\ntwo, three",0\nplain,1\n', ["one\ntwo, three", "plain"], 1),
    "a blank line inside": ("x.csv", '"one\n\ntwo",0\n', ["one\n\ntwo"], 1),
    "doubled quotes": ("x.csv", '"he said ""no""",0\nplain,1\n', ['he said "no"', "plain"], 0),
    "doubled quotes between tabs": ("x.tsv", '"he said ""no"""\t0\nplain\t1\n', ['he said "no"', "plain"], 0),
    "all texts in quotes, between tabs": ("x.tsv", '"a film"\t0\n"a song"\t1\n', ["a film", "a song"], 0),
    "quotes by hand": ("x.csv", '"a film",0\na song,1\n', ["a film", "a song"], 0),
    "a quote in the middle": ("x.csv", 'a "bad" film,0\n', ['a "bad" film'], 0),
    "a greeting before the line break": ("x.csv", '"Dear John,\nthanks",0\n', ["Dear John,\nthanks"], 1),
    "CR LF inside and outside": ("x.csv", '"a bad\r\nfilm, very ""dull""",0\r\n', ['a bad\r\nfilm, very "dull"'], 1),
    "a tab inside": ("x.tsv", '"a\tb"\t0\nplain\t1\n', ["a\tb", "plain"], 0),
}


@pytest.mark.parametrize("case", QUOTED)
def test_a_faultless_quoted_table_is_read_as_quoted(task: Task, write: Write, case: str) -> None:
    name, content, texts, notices = QUOTED[case]
    rows = read_rows(write(name, ("text\tlabel\n" if name.endswith("tsv") else "text,label\n") + content), task)
    assert [text for text, _ in pairs(rows)] == texts
    assert len(rows.notices) == notices
    assert all("quoted cells hold line breaks" in notice for notice in rows.notices)


SWALLOWING = ['" a bad film{}0', "a great song{}1", "a dull book{}0", 'the good "{}1', "a bright song{}1"]
AMBIGUOUS = {
    "rows swallowed between tabs": ("x.tsv", "\n".join(SWALLOWING).format(*"\t" * 5), 2, "lines 2 to 5 are one row"),
    "rows swallowed between commas": ("x.csv", "\n".join(SWALLOWING).format(*"," * 5), 2, "lines 2 to 5 are one row"),
    "far apart": ("x.tsv", '"a\t0\n' + "dull\t0\n" * 500 + 'b"\t1\n', 2, "lines 2 to 503 are one row"),
    "a line of another width among those swallowed": ("x.tsv", '"a\t0\nb\tc\t1\nd"\t1\n', 2, "lines 2 to 4"),
    "a text in quotes beside one without": ("x.tsv", 'a song\t1\n"a film"\t0\n', 3, "'text' is in quotes here"),
}


@pytest.mark.parametrize("case", AMBIGUOUS)
def test_what_can_be_read_in_two_ways_is_refused_until_it_is_told(task: Task, write: Write, case: str) -> None:
    name, content, line, reason = AMBIGUOUS[case]
    kind = name[-3:]
    path = write(name, ("text\tlabel\n" if kind == "tsv" else "text,label\n") + content)
    with pytest.raises(SeedTuneError, match=reason) as caught:
        read_rows(path, task)
    assert str(caught.value).startswith(f"{path}:{line}: ")
    assert f"--data-format {kind}-quoted or {kind}-unquoted" in str(caught.value)
    delimiter = "\t" if kind == "tsv" else ","
    forms: tuple[tuple[str, Literal[0, 3]], ...] = (("quoted", csv.QUOTE_MINIMAL), ("unquoted", csv.QUOTE_NONE))
    for form, quoting in forms:
        with path.open(newline="") as file:
            written = list(csv.reader(file, delimiter=delimiter, quoting=quoting))[1:]
        if {len(cells) for cells in written} == {2}:
            rows = read_rows(path, task, data_format=f"{kind}-{form}")
            assert pairs(rows) == [(text, int(label)) for text, label in written]


DAMAGED = {
    "all in quotes but one": ("x.csv", '"good film",1\n"bad "film",0\n', 3),
    "all in quotes but one, between tabs": ("x.tsv", '"good film"\t1\n"bad "film"\t0\n', 3),
    "doubled quotes elsewhere": ("x.tsv", '"a ""good"" film"\t1\nplain\t0\n"bad "film\t0\n', 4),
    "quotes in quotes by backslashes": ("x.csv", '"he said \\"bad\\" film",0\nplain,1\n', 2),
    "quotes in quotes by backslashes, between tabs": ("x.tsv", '"he said \\"bad\\" film"\t0\nplain\t1\n', 2),
    "never closed, and commas in the text": ("x.csv", 'a,0\n"b, c,1\n', 3),
    "quoted header": ("x.tsv", '"a\t0\n', 2),
}


@pytest.mark.parametrize("case", DAMAGED)
def test_a_quoted_table_with_a_fault_is_refused_with_its_line(task: Task, write: Write, case: str) -> None:
    name, content, line = DAMAGED[case]
    header = '"text"\t"label"\n' if case == "quoted header" else "text\tlabel\n" if name == "x.tsv" else "text,label\n"
    path = write(name, header + content)
    with pytest.raises(SeedTuneError, match="the table cannot be read") as caught:
        read_rows(path, task)
    assert str(caught.value).startswith(f"{path}:{line}: ")


def test_a_table_without_quotes_in_front_of_cells_says_nothing(task: Task, write: Write) -> None:
    rows = read_rows(write("x.tsv", 'text\tlabel\na "bad" film\t0\n\nit is 5" long\t1\n'), task)
    assert pairs(rows) == [('a "bad" film', 0), ('it is 5" long', 1)]
    assert rows.notices == ()
    assert [row.line for row in rows] == [2, 4]
