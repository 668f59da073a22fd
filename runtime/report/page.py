"""Renders a run as one HTML file that needs nothing else: no network, no other file, no server.

Rows of data are hostile. Three things stand between them and the reader: jinja's autoescape, JSON with ``<``
written as ``\\u003c`` so that no text can end a script element, and a content security policy in the page
that loads nothing from anywhere and runs only the two scripts whose SHA-256 it names.
"""

from __future__ import annotations

import os
from pathlib import Path

from seedtune.runtime.errors import SeedTuneError
from seedtune.runtime.files import require_writable, write_durably
from seedtune.runtime.report import figures
from seedtune.runtime.report.collect import RunData, collect
from seedtune.runtime.report.feature_figures import feature_charts
from seedtune.runtime.report.phone import phone_charts, phone_facts
from seedtune.runtime.report.rendering import Chart, render
from seedtune.runtime.report.summary import summarise
from seedtune.runtime.telemetry.gain import OBJECTIVE_WORDS

REPORT_FILE = "report.html"


def write_report(
    run_folder: str | os.PathLike[str], out: str | os.PathLike[str] | None = None, *, tsne: bool = False
) -> Path:
    """Writes the report of a RUN folder.

    Args:
        run_folder: what `seedtune run` wrote; the run may still be under way.
        out: the file to write; ``report.html`` in the run folder if not given.
        tsne: also draw embeddings by t-SNE, which takes a minute for 2,000 rows.

    Returns:
        The file written.

    Raises:
        SeedTuneError: the folder is no run or is damaged, plotly or jinja2 is not installed, or the file
        cannot be
            written. No half-written file stays behind.
    """
    run = collect(run_folder)
    target = run.folder / REPORT_FILE if out is None else Path(out)
    if target.is_dir():
        raise SeedTuneError(
            "the report is one file, and this is a folder", file=target, remedy=f"give {target / REPORT_FILE}"
        )
    require_writable(target)
    write_durably(target, render_page(run, tsne=tsne).encode("utf-8", "replace"))
    return target


def render_page(run: RunData, *, tsne: bool = False) -> str:
    """The whole page as text; ``tsne`` as of :func:`write_report`.

    Raises:
        SeedTuneError: plotly or jinja2 is not installed, or scikit-learn for t-SNE.
    """
    return render(
        "page.html.jinja",
        _charts(run, tsne),
        run=run.description,
        result=run.result,
        run_trials=run.trials,
        summary=summarise(run),
        objective=run.objective,
        phone=phone_facts(run.phone),
        features=run.features,
    )


def _charts(run: RunData, tsne: bool) -> list[Chart]:
    charts = (
        (
            "loss",
            "Loss" if run.objective == "loss" else f"Objective: {OBJECTIVE_WORDS[run.objective]}",
            "Mean of both sides of each probe, its moving average, and the same on held-out rows.",
            figures.loss_figure(run),
        ),
        (
            "accuracy",
            "Held-out accuracy",
            "At each evaluation, with its 95 % Wilson interval; the large points are new bests.",
            figures.accuracy_figure(run),
        ),
        (
            "memory",
            "Memory by kind",
            "RssAnon cannot be dropped by the kernel; RssFile (the mapped weights) can. "
            "VmHWM is the highest sum of all kinds. 1 MB is 10⁶ bytes.",
            figures.memory_figure(run),
        ),
        ("time", "Time by phase", "Milliseconds of each step, stacked by phase.", figures.time_figure(run)),
        (
            "gradient",
            "Projected gradient and coefficient",
            "What each probe measured along its direction, and how far the update moved along it.",
            figures.gradient_figure(run),
        ),
    )
    drawn = [Chart(*chart) for chart in charts if chart[3] is not None]
    return drawn + feature_charts(run.features, run.embeddings, tsne) + phone_charts(run.phone)
