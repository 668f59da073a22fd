"""A table as text: its records with quotes read as quoting (RFC 4180), and its lines with quotes read as text."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from seedtune.runtime.errors import SeedTuneError


@dataclass(frozen=True)
class TableRecord:
    """Cells, and the lines from 1 that they stand on."""

    first_line: int
    last_line: int
    cells: list[str]


def quoted_records(text: str, delimiter: str, source: str) -> Iterator[TableRecord]:
    """The records of ``text``, the header among them; blank lines are none.

    Raises:
        SeedTuneError: a quote is not closed, or text follows its end; names ``source`` and line.
    """
    table = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    line = 1
    # The module refuses cells above 131,072 characters; here the task's max_characters is the limit.
    limit_before = csv.field_size_limit(max(csv.field_size_limit(), len(text)))
    try:
        for cells in table:
            # csv gives no cells for a blank line.
            if cells:
                yield TableRecord(line, table.line_num, cells)
            line = table.line_num + 1
    except csv.Error as error:
        # The line where the record begins: an unclosed quote is noticed at the end of the file only.
        raise SeedTuneError(
            f"the table cannot be read ({error})",
            file=f"{source}:{line}",
            rule="quotes are closed, and doubled inside quotes",
            remedy="correct the row that begins at this line",
        ) from error
    finally:
        csv.field_size_limit(limit_before)


def plain_records(text: str, delimiter: str) -> Iterator[TableRecord]:
    """The lines of ``text`` that are not blank, cut at each delimiter."""
    for number, line in enumerate(lines_of(text), 1):
        if line:
            yield TableRecord(number, number, line.split(delimiter))


def lines_of(text: str) -> Iterator[str]:
    """The lines of ``text`` without their ends, which are CR, LF or both, as the csv module has it."""
    return (line.rstrip("\r\n") for line in io.StringIO(text, newline=""))


def has_quotes(text: str, delimiter: str) -> bool:
    """Whether a cell begins with a quote: if none does, both ways of reading give the same."""
    return re.search(rf'(?:\A|[\r\n{re.escape(delimiter)}])"', text) is not None


def require_width(record: TableRecord, columns: Sequence[str], source: str) -> None:
    """Raises SeedTuneError when ``record`` has another number of cells than there are ``columns``."""
    if len(record.cells) != len(columns):
        raise SeedTuneError(
            "a row has another number of cells than the header",
            file=f"{source}:{record.first_line}",
            value=len(record.cells),
            rule=f"{len(columns)} cells: {', '.join(columns)}",
            remedy="quote cells that contain the delimiter or a line break",
        )
