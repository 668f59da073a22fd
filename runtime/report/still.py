"""Plots as files, for a paper: PNG and SVG by matplotlib, the same bytes for the same numbers."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from seedtune.runtime.extras import import_extra
from seedtune.runtime.files import write_durably
from seedtune.runtime.report.figures import PALETTE

STYLES = ("-", "--", ":", "-.")
PANEL_INCHES = (4.6, 3.2)


@dataclass(frozen=True)
class Curve:
    """A line, or with ``bars`` in its panel one bar at each place of ``x``; None is a gap."""

    name: str
    x: Sequence[float]
    y: Sequence[float | None]


@dataclass(frozen=True)
class Panel:
    """One plot: what its axes show, and its curves; ``bars`` are the names of groups of bars, one a place."""

    x_title: str
    y_title: str
    curves: tuple[Curve, ...]
    bars: tuple[str, ...] = ()


def write_still(stem: Path, panels: Sequence[Panel]) -> list[Path]:
    """Writes ``stem.png`` and ``stem.svg``, the panels side by side; nothing without panels.

    Raises:
        SeedTuneError: matplotlib is not installed, or a file cannot be written.
    """
    if not panels:
        return []
    matplotlib = import_extra("matplotlib", "device", "a plot for a paper")
    figure_type = import_extra("matplotlib.figure", "device", "a plot for a paper").Figure
    # Ids of an SVG are made from this, else from a random number.
    with matplotlib.rc_context({"svg.hashsalt": "seedtune", "font.size": 9, "axes.grid": True, "grid.alpha": 0.3}):
        width, height = PANEL_INCHES
        figure = figure_type(figsize=(width * len(panels), height), layout="constrained")
        for place, panel in enumerate(panels):
            _draw(figure.add_subplot(1, len(panels), place + 1), panel)
        written = []
        for kind, metadata in (("png", {"Software": None}), ("svg", {"Date": None, "Creator": None})):
            target = stem.with_name(f"{stem.name}.{kind}")
            content = io.BytesIO()
            figure.savefig(content, format=kind, dpi=200, metadata=metadata)
            write_durably(target, content.getvalue())
            written.append(target)
    return written


def _draw(plot: Any, panel: Panel) -> None:
    for place, curve in enumerate(panel.curves):
        colour = PALETTE[place % len(PALETTE)]
        # A $ would begin a formula.
        label = curve.name.replace("$", r"\$")
        values = [float("nan") if value is None else value for value in curve.y]
        if panel.bars:
            share = 0.8 / len(panel.curves)
            at = [x + (place - (len(panel.curves) - 1) / 2) * share for x in curve.x]
            plot.bar(at, values, width=share, color=colour, label=label)
        else:
            style = STYLES[place // len(PALETTE) % len(STYLES)]
            plot.plot(curve.x, values, style, color=colour, label=label, linewidth=1.4)
    if panel.bars:
        plot.set_xticks(range(len(panel.bars)), panel.bars)
    plot.set_xlabel(panel.x_title)
    plot.set_ylabel(panel.y_title)
    plot.legend(fontsize=8, frameon=False)
