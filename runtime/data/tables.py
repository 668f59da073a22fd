"""CSV and TSV: a header line, then the rows; says how a file was read wherever that is not a row a line."""

from __future__ import annotations

from seedtune.runtime.data.formats import Records, Wanted, require_once
from seedtune.runtime.data.lines import TableRecord, lines_of, plain_records, quoted_records, require_width
from seedtune.runtime.data.quoting import Quoting
from seedtune.runtime.data.source import Source
from seedtune.runtime.errors import SeedTuneError

DELIMITERS = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "bars"}


def read_csv(source: Source, wanted: Wanted) -> Records:
    """Comma-separated values with a header line; quoted as in RFC 4180, or with quotes that are text."""
    return _read(source, wanted, ",")


def read_tsv(source: Source, wanted: Wanted) -> Records:
    """Tab-separated values with a header line, likewise."""
    return _read(source, wanted, "\t")


def _read(source: Source, wanted: Wanted, own_delimiter: str) -> Records:
    text, name = source.text(), str(source)
    # "quoted", "unquoted", or nothing.
    told = source.format.partition("-")[2]
    chosen = _header(text, own_delimiter, wanted, name, plain=told == "unquoted")
    if chosen is None:
        return
    delimiter, header = chosen
    require_once(header.cells, wanted, f"{name}:{header.first_line}")
    fault = None if told else Quoting(text, delimiter, header, wanted, name).fault_if_quoted()
    plain = told == "unquoted" or fault is not None
    records = plain_records(text, delimiter) if plain else quoted_records(text, delimiter, name)
    next(records)
    rows, has_breaks = 0, False
    for record in records:
        require_width(record, header.cells, name)
        has_breaks |= record.last_line > record.first_line
        rows += 1
        yield record.first_line, dict(zip(header.cells, record.cells, strict=True))
    how = [
        f"separated by {DELIMITERS[delimiter]}" if delimiter != own_delimiter else "",
        f"its quotes are text, since line {_line_of(fault)} cannot be read if they quote" if fault else "",
        "quoted cells hold line breaks" if has_breaks else "",
    ]
    if any(how):
        wanted.notice(f"{name}: {'; '.join(filter(None, how))}; {_count(text, rows)}")


def _header(text: str, own: str, wanted: Wanted, name: str, *, plain: bool) -> tuple[str, TableRecord] | None:
    """The delimiter and the header: the delimiter that the ending says, unless only another one finds the columns.

    Raises:
        SeedTuneError: the header cannot be read, or is one column and seems to be several.
    """
    headers: dict[str, TableRecord] = {}
    faults: dict[str, SeedTuneError] = {}
    for delimiter in dict.fromkeys((own, *DELIMITERS)):
        try:
            records = plain_records(text, delimiter) if plain else quoted_records(text, delimiter, name)
            header = next(records, None)
        except SeedTuneError as error:
            # Cells in quotes look damaged between other delimiters than theirs.
            faults[delimiter] = error
            continue
        if header is None:
            return None
        headers[delimiter] = header
    found = [delimiter for delimiter, header in headers.items() if set(wanted.required) <= set(header.cells)]
    if own not in found and len(found) == 1:
        return found[0], headers[found[0]]
    others = [delimiter for delimiter, header in headers.items() if len(header.cells) > 1]
    if others and (own in faults or len(headers[own].cells) == 1):
        line = headers[others[0]].first_line
        raise SeedTuneError(
            f"the header is one column, {list(lines_of(text))[line - 1]!r}: the file seems to be separated by "
            f"{DELIMITERS[others[0]]}",
            file=f"{name}:{line}",
            value=headers[others[0]].cells,
            rule=f"columns called {', '.join(wanted.required)}",
            remedy="call its columns so, or change the task: any of "
            f"{', '.join(DELIMITERS.values())} may then stand between them",
        )
    if own in faults:
        raise faults[own]
    return own, headers[own]


def _line_of(fault: SeedTuneError) -> str:
    return str(fault.file).rpartition(":")[2]


def _count(text: str, rows: int) -> str:
    lines = list(lines_of(text))
    blank = lines.count("")
    return f"{rows:,} {'row' if rows == 1 else 'rows'} from {len(lines):,} lines, the header" + (
        f" and {blank:,} blank ones among them" if blank else " among them"
    )
