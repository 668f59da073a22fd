"""Whether the quotes of a table quote or are text. The rule stands in docs/reference/task-file.md.

Read quoted, a record is what RFC 4180 makes of it; read plain, every line is a record and quotes are text. A line
*reads as a row* if it has as many cells as the header and the task can use it; where rows may be lost and the delimiter
is a tab, which texts hardly hold, the number of cells is enough. A cell is *wrapped* if it begins and ends with a
quote.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from seedtune.runtime.data.formats import Wanted
from seedtune.runtime.data.lines import TableRecord, has_quotes, lines_of, quoted_records, require_width
from seedtune.runtime.errors import SeedTuneError

QUOTE = '"'


class Quoting:
    """Decides for one table.

    Args:
        text: all of it.
        delimiter: one character.
        header: its first record, whose cells are the columns.
        wanted: what the task reads.
        source: names it in messages.
    """

    def __init__(self, text: str, delimiter: str, header: TableRecord, wanted: Wanted, source: str) -> None:
        self._text = text
        self._delimiter = delimiter
        self._header = header
        self._columns = header.cells
        self._wanted = wanted
        self._source = source
        self._is_tab = delimiter == "\t"
        self._kind = "tsv" if self._is_tab else "csv"
        self._lines: list[str] = []

    def fault_if_quoted(self) -> SeedTuneError | None:
        """None if the quotes quote; if they are text, what keeps the table from being read as a quoted one.

        Raises:
            SeedTuneError: the table can be read in both ways, which give other rows, or in neither.
        """
        if not has_quotes(self._text, self._delimiter):
            return None
        self._lines = list(lines_of(self._text))
        # Nobody calls a column by a name in quotes.
        quotes_header = any(cell.startswith(QUOTE) for cell in self._cells(self._header.first_line))
        if quotes_header:
            return None
        fault, swallowing = self._read_quoted()
        if fault is None and swallowing:
            first, last = swallowing.first_line, swallowing.last_line
            raise self._ambiguous(f"lines {first} to {last} are one row if quotes quote, and several if not", first)
        if fault is None and not self._is_tab:
            return None
        is_plain = all(self._reads_as_row(cells, strictly=True) for _, cells in self._rows())
        if fault is not None:
            if not is_plain or self._looks_quoted():
                told = f"{fault.remedy}; if its quotes are text, say --data-format {self._kind}-unquoted"
                raise fault.at(str(fault.file), remedy=told)
        elif is_plain:
            self._refuse_needless_quotes()
        return fault

    def _cells(self, line: int) -> list[str]:
        return self._lines[line - 1].split(self._delimiter)

    def _rows(self) -> Iterator[tuple[int, list[str]]]:
        """Line and cells of each row, read plain."""
        for line in range(self._header.first_line + 1, len(self._lines) + 1):
            if self._lines[line - 1]:
                yield line, self._cells(line)

    def _read_quoted(self) -> tuple[SeedTuneError | None, TableRecord | None]:
        """What is wrong with the table if its quotes quote, and the first record that may have swallowed rows."""
        swallowing = None
        try:
            for record in quoted_records(self._text, self._delimiter, self._source):
                require_width(record, self._columns, self._source)
                if swallowing is None and self._may_swallow(record):
                    swallowing = record
        except SeedTuneError as error:
            return error, swallowing
        return None, swallowing

    def _may_swallow(self, record: TableRecord) -> bool:
        """Whether ``record`` has several lines, of which the first and the last read as rows themselves."""
        ends = (record.first_line, record.last_line)
        return ends[1] > ends[0] and all(self._reads_as_row(self._cells(line), strictly=False) for line in ends)

    def _reads_as_row(self, cells: Sequence[str], *, strictly: bool) -> bool:
        if len(cells) != len(self._columns):
            return False
        return (self._is_tab and not strictly) or self._wanted.fits(dict(zip(self._columns, cells, strict=True)))

    def _refuse_needless_quotes(self) -> None:
        """A column with texts in quotes that need none, beside texts in none: no writer quotes so, and people do."""
        for place, name in enumerate(self._columns):
            if name not in self._wanted.columns:
                continue
            needless = unquoted = None
            for line, cells in self._rows():
                if _is_wrapped(cells[place]) and QUOTE not in cells[place][1:-1]:
                    needless = needless or line
                elif _is_unquoted_text(cells[place]):
                    unquoted = unquoted or line
            if needless and unquoted:
                raise self._ambiguous(f"{name!r} is in quotes here, and without any in line {unquoted}", needless)

    def _looks_quoted(self) -> bool:
        """Whether a table that cannot be read as a quoted one was meant as one, and is damaged."""
        for place in range(len(self._columns)):
            cells = [cells[place] for _, cells in self._rows()]
            wrapped = [cell for cell in cells if _is_wrapped(cell)]
            if any(cell.startswith(QUOTE) and '\\"' in cell for cell in cells) or (wrapped and not self._is_tab):
                return True
            sound = [cell[1:-1] for cell in wrapped if QUOTE not in cell[1:-1].replace(QUOTE * 2, "")]
            if any(QUOTE in cell for cell in sound) or (sound and not any(map(_is_unquoted_text, cells))):
                return True
        return False

    def _ambiguous(self, reason: str, line: int) -> SeedTuneError:
        return SeedTuneError(
            f"the quotes of this table can be read in two ways: {reason}",
            file=f"{self._source}:{line}",
            value=self._lines[line - 1],
            rule="quotes that quote, or that are text",
            remedy=f"say which: --data-format {self._kind}-quoted or {self._kind}-unquoted; or write the rows as JSONL",
        )


def _is_wrapped(cell: str) -> bool:
    return len(cell) > 1 and cell.startswith(QUOTE) and cell.endswith(QUOTE)


def _is_unquoted_text(cell: str) -> bool:
    """Whether a writer that quotes texts, and numbers not, would have quoted ``cell`` and did not."""
    try:
        float(cell or "0")
    except ValueError:
        return not cell.startswith(QUOTE)
    return False
