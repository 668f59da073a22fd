"""Rows that come one after another from somebody who waits for answers: JSON lines of a pipe, as they arrive."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator

from seedtune.runtime.data.formats import Record, record_of
from seedtune.runtime.data.rows import Rows, checked
from seedtune.runtime.data.source import Source
from seedtune.runtime.errors import SeedTuneError
from seedtune.runtime.task.definition import Task

# Taken from the pipe at once, if so much is there.
READ_BYTES = 1 << 16


def arriving_rows(source: Source, task: Task, most: int) -> Iterator[Rows]:
    """The rows of standard input, JSON lines, without labels: those that are there, at most ``most``, and so on.

    Nothing is waited for while a row is there: who writes one row and waits for its answer gets it.

    Raises:
        SeedTuneError: a line is no row that the task can use; names it. The rows before it were given.
    """
    number = 0
    for lines in _arriving_lines():
        records: list[tuple[int, Record]] = []
        for raw in lines:
            number += 1
            where = f"{source}:{number}"
            text = _text(raw, where)
            if not text.strip():
                continue
            records.append((number, record_of(text, where)))
            if len(records) == most:
                yield checked(records, str(source), task, require_label=False)
                records = []
        if records:
            yield checked(records, str(source), task, require_label=False)


def _arriving_lines() -> Iterator[list[bytes]]:
    """The lines that are there, whenever there are some."""
    if sys.stdin is None:
        raise SeedTuneError("standard input is closed", rule="rows on standard input", remedy="give a file")
    descriptor, rest = sys.stdin.fileno(), b""
    while found := os.read(descriptor, READ_BYTES):
        *lines, rest = (rest + found).split(b"\n")
        if lines:
            yield lines
    if rest:
        yield [rest]


def _text(raw: bytes, where: str) -> str:
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise SeedTuneError(
            "this line is not UTF-8", file=where, rule="UTF-8 text", remedy="convert it, for example with iconv"
        ) from error
    if "\0" in text:
        raise SeedTuneError("this line holds a NUL character", file=where, rule="plain text", remedy="remove it")
    return text
