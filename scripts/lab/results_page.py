"""The part of docs/benchmarks.md that is made from recorded measurements; what people wrote around it stays."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Sequence
from pathlib import Path

from lab.catalogue import Bench
from lab.records import Record, newest
from seedtune.runtime.errors import SeedTuneError

BEGIN = "<!-- measurements: made by `python scripts/bench --page`; edits up to the end mark are lost -->"
END = "<!-- measurements: end -->"
NEW_PAGE = f"# Benchmarks\n\n{BEGIN}\n{END}\n"


def filled(page: str, part: str, file: Path) -> str:
    """``page`` with ``part`` between its marks, or with marks and all at its end where it has none.

    Raises:
        SeedTuneError: the marks of ``page``, which is ``file``'s, are not one pair in order.
    """
    counts = page.count(BEGIN), page.count(END)
    if counts == (0, 0):
        return f"{page.rstrip()}\n\n{BEGIN}\n\n{part}\n\n{END}\n"
    before, _, rest = page.partition(BEGIN)
    _, end, after = rest.partition(END)
    if counts != (1, 1) or not end:
        raise SeedTuneError("the marks of the page are not one pair", file=file, rule=f"{BEGIN} ... {END}")
    return f"{before}{BEGIN}\n\n{part}\n\n{END}{after}"


def part_of(benches: Sequence[Bench], records: dict[str, list[Record]]) -> str:
    """All benches in a table, then the newest measurement of each and of each list of arguments.

    Args:
        benches: in the order of the page.
        records: bench -> its lines, the oldest first.
    """
    overview = [
        (f"`{bench.name}`", bench.what, "<br>".join(f"{figure} {bar}" for figure, bar in bench.bars.items()) or "none")
        for bench in benches
    ]
    lines = ["## The newest measurements", "", *_table(("bench", "what it measures", "bar"), overview)]
    known = {bench.name: bench.what for bench in benches}
    for name in [*known, *sorted(records.keys() - known)]:
        for record in newest(records.get(name, [])):
            lines += ["", f"### {name}{''.join(f' {argument}' for argument in map(shlex.quote, record.arguments))}"]
            lines += ["", f"{known.get(name, 'No longer measured')}. {_origin(record)}", ""]
            lines += _table(("", "measured", "bar"), _figures(record))
    return "\n".join(lines)


def _figures(record: Record) -> list[Sequence[str]]:
    """What the bench said as text, or its numbers where it said none."""
    if "figures" in record.result:
        return record.result["figures"]
    plain = (str, int, float)
    return [(name, str(value), "") for name, value in record.result.items() if isinstance(value, plain)]


def _origin(record: Record) -> str:
    machine, versions = record.machine, record.versions
    where = f"{machine['processor']}, {machine['cores']} cores, {machine['memory_bytes'] / 1e9:.0f} GB"
    software = ", ".join(f"{name} {version}" for name, version in versions.items())
    return f"{record.date[:10]}, commit {record.commit}; {where}; load {machine['load_average']:g}; {software}."


def _table(headings: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    return [_line(headings), "|---" * len(headings) + "|", *map(_line, rows)]


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |"
