"""`seedtune report A B C`: runs side by side as one page that opens offline, its table and plots as files beside it."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

from seedtune.runtime.errors import SeedTuneError
from seedtune.runtime.extras import import_extra
from seedtune.runtime.files import require_writable, write_durably
from seedtune.runtime.report.figures import PALETTE, draw_line, empty_figure, exponential_average, thin
from seedtune.runtime.report.phone import seconds_and_values
from seedtune.runtime.report.rendering import Chart, render
from seedtune.runtime.report.side_by_side import NamedRun, collect_runs, comparison_table, memory_peak, memory_series
from seedtune.runtime.report.still import Curve, Panel, write_still
from seedtune.runtime.report.tables import Cell, Table

COMPARISON_FILE = "comparison.html"
# More runs than these are told apart by dashes.
DASHES = ("solid", "dash", "dot", "dashdot")
MOST_RUNS = len(PALETTE) * len(DASHES)
BAR_KINDS = ("PSS", "RssAnon", "VmHWM")


def write_comparison(
    folders: Sequence[str | os.PathLike[str]], out: str | os.PathLike[str] | None = None
) -> list[Path]:
    """Writes the page, and beside it the table (``.md``, ``.tex``, ``.csv``) and the plots (``.png``, ``.svg``).

    Args:
        folders: two RUN folders or more.
        out: the page to write; ``comparison.html`` here if not given.

    Returns:
        The files written, the page first.

    Raises:
        SeedTuneError: a folder is no run or is damaged, a library is not installed, or a file cannot be written.
    """
    if not 2 <= len(folders) <= MOST_RUNS:
        raise SeedTuneError("a comparison is of several runs", value=len(folders), rule=f"2 to {MOST_RUNS} RUN folders")
    page = Path(COMPARISON_FILE if out is None else out)
    if page.is_dir():
        raise SeedTuneError(
            "the page is one file, and this is a folder", file=page, remedy=f"give {page / COMPARISON_FILE}"
        )
    require_writable(page)
    runs = collect_runs(folders)
    table = comparison_table(runs)
    written = {
        page: render_comparison(runs, table, page.resolve().parent).encode("utf-8", "replace"),
        page.with_suffix(".md"): table.markdown().encode("utf-8", "replace"),
        page.with_suffix(".tex"): table.latex().encode("utf-8", "replace"),
        page.with_suffix(".csv"): table.csv().encode("utf-8", "replace"),
    }
    for path, content in written.items():
        write_durably(path, content)
    return [*written, *write_still(page.with_suffix(""), panels_of(runs))]


def render_comparison(runs: Sequence[NamedRun], table: Table, beside: Path) -> str:
    """The page as text; its links are relative to the folder ``beside``."""
    folders = [run.data.folder.resolve() for run in runs]

    def linked(cells: tuple[Cell, ...]) -> list[tuple[str, str, str]]:
        return [
            (cell.text, cell.place, _href(cell, folder, beside)) for cell, folder in zip(cells, folders, strict=True)
        ]

    rows = [(row[0].text, linked(row[1:])) for row in table.rows]
    return render("comparison.html.jinja", _charts(runs), names=[run.name for run in runs], rows=rows)


def panels_of(runs: Sequence[NamedRun]) -> list[Panel]:
    """The plots for a paper: what is lowered, and memory over time."""
    losses, memory = [], []
    for run in runs:
        steps = [float(record.step) for record in run.data.steps]
        losses.append(Curve(run.name, steps, exponential_average([record.loss for record in run.data.steps])))
        kind = _told_kind(runs)
        samples = memory_series(run.data, kind)
        memory.append(Curve(run.name, [s.seconds for s in samples], [s.value / 1e6 for s in samples]))
    panels = [
        Panel("step", "loss, smoothed", tuple(losses)),
        Panel("seconds", f"{_told_kind(runs)}, MB", tuple(memory)),
    ]
    return [panel for panel in panels if any(curve.x for curve in panel.curves)]


def _told_kind(runs: Sequence[NamedRun]) -> str:
    """The best kind that all runs tell: PSS, where all are of phones that do, else RssAnon."""
    return "PSS" if all(memory_series(run.data, "PSS") for run in runs) else "RssAnon"


def _href(cell: Cell, folder: Path, beside: Path) -> str:
    file = cell.place.partition(":")[0]
    return quote(os.path.relpath(folder / file, beside)) if file else ""


def _charts(runs: Sequence[NamedRun]) -> list[Chart]:
    kind = _told_kind(runs)
    charts = (
        ("loss", "Loss", "Of each step, smoothed.", _loss(runs)),
        ("accuracy", "Held-out accuracy", "At each evaluation.", _accuracy(runs)),
        ("memory", f"{kind} over time", "1 MB is 10\N{SUPERSCRIPT SIX} bytes.", _memory(runs, kind)),
        ("peaks", "Most memory, by kind", "RssFile is left out: the kernel may drop its pages.", _peaks(runs)),
    )
    return [Chart(*chart) for chart in charts if chart[3] is not None and chart[3].data]


def _style(place: int) -> tuple[str, dict[str, Any]]:
    return PALETTE[place % len(PALETTE)], {"dash": DASHES[place // len(PALETTE)]}


def _loss(runs: Sequence[NamedRun]) -> Any:
    figure = empty_figure("loss, nats" if all(run.data.objective == "loss" for run in runs) else "objective")
    for place, run in enumerate(runs):
        if run.data.steps:
            average = exponential_average([record.loss for record in run.data.steps])
            x, y = thin([record.step for record in run.data.steps], average, limit=500)
            colour, line = _style(place)
            draw_line(figure, x, y, run.name, colour, line=line)
    return figure


def _accuracy(runs: Sequence[NamedRun]) -> Any:
    figure = empty_figure("accuracy, %")
    for place, run in enumerate(runs):
        if run.data.evaluations:
            colour, line = _style(place)
            x = [record.step for record in run.data.evaluations]
            y = [100 * record.accuracy for record in run.data.evaluations]
            draw_line(figure, x, y, run.name, colour, mode="lines+markers", line=line)
    return figure


def _memory(runs: Sequence[NamedRun], kind: str) -> Any:
    figure = empty_figure("MB", "seconds")
    for place, run in enumerate(runs):
        samples = memory_series(run.data, kind)
        if samples:
            colour, line = _style(place)
            x, y = seconds_and_values(samples, 1e-6)
            draw_line(figure, x, y, run.name, colour, line=line)
    return figure.update_yaxes(rangemode="tozero")


def _peaks(runs: Sequence[NamedRun]) -> Any:
    objects = import_extra("plotly.graph_objects", "report", "the report")
    figure = empty_figure("MB", "")
    for place, run in enumerate(runs):
        peaks = [(kind, memory_peak(run.data, kind)) for kind in BAR_KINDS]
        known = [(kind, round(peak.value / 1e6, 1)) for kind, peak in peaks if peak]
        if known:
            names, values = zip(*known, strict=True)
            pattern = ("", "/", ".", "x")[place // len(PALETTE)]
            marker = {"color": PALETTE[place % len(PALETTE)], "pattern": {"shape": pattern}}
            figure.add_trace(objects.Bar(x=names, y=values, name=run.name, marker=marker))
    return figure.update_layout(barmode="group")
