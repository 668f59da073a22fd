"""``seedtune device memory``: what runs held in memory, as a table and a figure."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table as ShownTable

from seedtune.runtime.cli.options import JsonOption, print_json


def memory_command(
    runs: Annotated[list[Path], typer.Argument(help="RUN folders, of phones or of desks.", show_default=False)],
    out: Annotated[Path, typer.Option(help="Files to write: this name with .csv, .md, .tex, .png and .svg.")] = Path(
        "memory"
    ),
    json: JsonOption = False,
) -> None:
    """Say what runs held in memory at most, by kind, and over time: CSV, markdown and LaTeX tables, PNG and SVG plots.

    PSS is the app's share of all its pages; RssAnon is what only it can give back; VmHWM is the most that was resident.

    Examples:

        seedtune device memory device-runs/bundle-train

        seedtune device memory runs/phone-a runs/phone-b --out table
    """
    from seedtune.runtime.report.phone_memory import write_memory

    table, written = write_memory(runs, out)
    shown = ShownTable(box=None, pad_edge=False)
    for heading in table.headings:
        shown.add_column(heading, overflow="fold")
    for row in table.rows:
        shown.add_row(*(escape(cell.text) for cell in row))
    console = Console(stderr=True)
    console.print(shown)
    console.print(", ".join(str(path) for path in written), highlight=False, soft_wrap=True)
    if json:
        rows = [
            {
                heading: {"value": cell.text, "read_from": cell.place}
                for heading, cell in zip(table.headings, row, strict=True)
            }
            for row in table.rows
        ]
        print_json({"files": [str(path) for path in written], "rows": rows})
