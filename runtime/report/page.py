"""Renders a run as one HTML file that needs nothing else: no network, no other file, no server.

Rows of data are hostile. Three things stand between them and the reader: jinja's autoescape, JSON with ``<``
written as ``\\u003c`` so that no text can end a script element, and a content security policy in the page
that loads nothing from anywhere and runs only the two scripts whose SHA-256 it names.
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
import re
from importlib import resources
from pathlib import Path
from typing import Any

from seedtune.runtime.durations import short_duration
from seedtune.runtime.errors import SeedTuneError, shorten
from seedtune.runtime.extras import import_extra
from seedtune.runtime.files import require_writable, write_durably
from seedtune.runtime.report import figures
from seedtune.runtime.report.collect import RunData, collect
from seedtune.runtime.report.summary import summarise

REPORT_FILE = "report.html"
MAX_TEXT_CHARACTERS = 700
NOTHING = "\N{EN DASH}"
# Control characters other than tab and newline: HTML forbids them, and some turn text around.
_CONTROL = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f]")


def write_report(run_folder: str | os.PathLike[str], out: str | os.PathLike[str] | None = None) -> Path:
    """Writes the report of a RUN folder.

    Args:
        run_folder: what `seedtune run` wrote; the run may still be under way.
        out: the file to write; ``report.html`` in the run folder if not given.

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
    write_durably(target, render_page(run).encode("utf-8", "replace"))
    return target


def render_page(run: RunData) -> str:
    """The whole page as text.

    Raises:
        SeedTuneError: plotly or jinja2 is not installed.
    """
    jinja2, markup = (import_extra(name, "report", "the report") for name in ("jinja2", "markupsafe"))
    plotly_js = import_extra("plotly.offline", "report", "the report").get_plotlyjs().replace("\r\n", "\n")
    folder = resources.files("seedtune.runtime.report")
    style, script, template = (
        (folder / name).read_text("utf-8") for name in ("page.css", "script.html.jinja", "page.html.jinja")
    )
    environment = jinja2.Environment(
        autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters |= {
        "percent": lambda value: NOTHING if value is None else f"{100 * value:.1f} %",
        "probability": lambda value: NOTHING if value is None else f"{value:.3f}",
        "megabytes": lambda count: NOTHING if count is None else f"{count / 1e6:,.0f} MB",
        "duration": short_duration,
        "count": lambda number: f"{number:,}",
        "p_value": lambda p: f"=\N{NO-BREAK SPACE}{p:.3f}" if p >= 0.001 else f"=\N{NO-BREAK SPACE}{p:.1e}",
        "clean": clean_text,
        "plain": _plain,
    }
    charts = _charts(run)
    page: str = environment.from_string(template).render(
        run=run.description,
        result=run.result,
        run_trials=run.trials,
        summary=summarise(run),
        objective=run.objective,
        charts=[(name, title, caption) for name, title, caption, _ in charts],
        chart_data=markup.Markup(script_json({name: figure.to_plotly_json() for name, _, _, figure in charts})),
        # These three are ours, not the run's: the only text of the page that is not escaped.
        style=markup.Markup(style),
        script=markup.Markup(script),
        plotly_js=markup.Markup(plotly_js if charts else ""),
        script_hashes=[_sha256_source(text) for text in ((plotly_js, script) if charts else ())],
    )
    return page


def clean_text(text: object, limit: int = MAX_TEXT_CHARACTERS) -> str:
    """``text`` without control characters, cut to ``limit`` characters; not escaped yet."""
    return shorten(_CONTROL.sub("\N{REPLACEMENT CHARACTER}", str(text)), limit)


def script_json(value: object) -> str:
    """JSON that is safe inside a script element: nothing in it can end the element or open a comment."""
    text = json.dumps(value, allow_nan=False, separators=(",", ":"))  # ASCII only, so U+2028 is escaped too
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def _charts(run: RunData) -> list[tuple[str, str, str, Any]]:
    charts = (
        (
            "loss",
            "Loss" if run.objective == "loss" else f"Objective: 1 - {run.objective}",
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
    return [chart for chart in charts if chart[3] is not None]


def _plain(value: object) -> str:
    """A setting for people: numbers and words as they are, anything nested as JSON."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if value is None:
        return NOTHING
    if isinstance(value, int | float | str):
        return str(value)
    if isinstance(value, list) and all(isinstance(part, str) for part in value):
        return ", ".join(value)
    return json.dumps(value, ensure_ascii=False)


def _sha256_source(script: str) -> str:
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    return f"'sha256-{digest}'"
