"""What every bench prints: tables for people, one last JSON line. It imports no torch."""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from lab.machine import commit, machine, versions

FILE_WIDTH = 140
HEADINGS = ("", "measured", "bar")


def command_line(file: str, about: str | None, bars: Mapping[str, str]) -> argparse.ArgumentParser:
    """The command line of the bench in ``file``: ``about`` is its docstring, ``bars`` its ``BAR``."""
    return argparse.ArgumentParser(
        prog=f"python scripts/bench {Path(file).stem}",
        description=about,
        epilog="\n".join(["bars:", *(f"  {figure}: {bar}" for figure, bar in bars.items())]) if bars else None,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )


def show(title: str, headings: Sequence[str], rows: Sequence[Sequence[str]], caption: str = "") -> None:
    """Prints a table on standard error."""
    table = Table(title=title, caption=caption)
    for heading in headings:
        table.add_column(heading)
    for row in rows:
        table.add_row(*row)
    wide_console(stderr=True).print(table)


def wide_console(*, stderr: bool) -> Console:
    """A console for tables of many columns, unreadable at the 80 characters that rich takes a file to have."""
    console = Console(stderr=stderr)
    if not console.is_terminal:
        console.width = FILE_WIDTH
    return console


def report(
    title: str,
    rows: Sequence[Sequence[str]],
    result: Mapping[str, Any],
    headings: Sequence[str] = HEADINGS,
    figures: Sequence[Sequence[str]] | None = None,
) -> None:
    """Prints ``rows`` as a table, then ``result`` as the last line of standard output.

    Args:
        title: of the table, and in the line.
        rows: one for each of ``headings``.
        result: the figures as numbers.
        headings: of the table.
        figures: (what, measured, bar) as text, which the line carries for the page of all benches; by default ``rows``,
            whose headings are then the usual ones.
    """
    software = versions()
    about = machine() | {name: software[name] for name in ("python", "onnxruntime")}
    about |= {"commit": commit(), "date": time.strftime("%Y-%m-%d")}
    show(title, headings, rows, ", ".join(f"{key} {value}" for key, value in about.items()))
    print(json.dumps({**result, "title": title, "figures": rows if figures is None else figures}))


def megabytes(count: float | None) -> str:
    """Bytes as MB (10^6), or a dash where they are not known."""
    return "-" if count is None else f"{count / 1e6:,.0f} MB"
