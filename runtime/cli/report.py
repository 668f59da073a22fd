"""``seedtune report``: one self-contained page about a run or a scan."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from seedtune.runtime.cli.options import JsonOption, print_json


def report_command(
    runs: Annotated[
        list[Path], typer.Argument(help="A RUN or SCAN folder, or several runs to compare.", show_default=False)
    ],
    out: Annotated[
        Path | None, typer.Option(help="The page to write. [default: RUN/report.html; comparison.html for several]")
    ] = None,
    tsne: Annotated[
        bool,
        typer.Option("--tsne", help="Also draw contrastive embeddings by t-SNE; needs scikit-learn, and a minute."),
    ] = False,
    json: JsonOption = False,
) -> None:
    """Write one self-contained HTML page about a run or a scan, or about several runs side by side; it opens offline.

    A comparison also has its table beside it as markdown, LaTeX and CSV, and its plots as PNG and SVG. Runs of a phone
    show its memory, temperature and energy.

    Examples:

        seedtune report run

        seedtune report run --out page.html

        seedtune report run device-runs/bundle-train --out comparison.html
    """
    console = Console(stderr=True)
    if len(runs) > 1:
        from seedtune.runtime.report.comparison import write_comparison

        written = write_comparison(runs, out)
        page = written[0]
    else:
        from seedtune.runtime.report.page import write_report
        from seedtune.runtime.report.scan_page import is_scan, write_scan_report

        page = write_scan_report(runs[0], out) if is_scan(runs[0]) else write_report(runs[0], out, tsne=tsne)
        written = [page]
    for path in written:
        console.print(str(path), highlight=False, soft_wrap=True)
    if json:
        fields = {"report": str(page), "size_bytes": page.stat().st_size}
        print_json(fields | ({"files": [str(path) for path in written]} if len(written) > 1 else {}))
