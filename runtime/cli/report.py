"""``seedtune report``: one self-contained page about a run."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from seedtune.runtime.cli.options import JsonOption, print_json


def report_command(
    run: Annotated[Path, typer.Argument(help="A RUN folder.", show_default=False)],
    out: Annotated[Path | None, typer.Option(help="The page to write. [default: RUN/report.html]")] = None,
    json: JsonOption = False,
) -> None:
    """Write one self-contained HTML page about a run; it opens offline.

    Examples:

        seedtune report run

        seedtune report run --out page.html
    """
    from seedtune.runtime.report.page import write_report

    page = write_report(run, out)
    Console(stderr=True).print(str(page), highlight=False, soft_wrap=True)
    if json:
        print_json({"report": str(page), "size_bytes": page.stat().st_size})
