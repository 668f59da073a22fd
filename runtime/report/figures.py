"""The charts of a report, as plotly figures; ``None`` where there is nothing to draw.

Colours carry no theme: backgrounds are transparent, and the page's script gives text and grid the colour of the light
or dark page. The palette is chosen so that each colour has a contrast of 3:1 against both pages (WCAG 2.2, 1.4.11; a
test checks it), and each kind of line also differs by dash or marker, for eyes that do not tell the colours apart.
One MB is 10^6 bytes.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from seedtune.runtime.extras import import_extra
from seedtune.runtime.report.collect import RunData
from seedtune.runtime.report.statistics import wilson_interval
from seedtune.runtime.telemetry.gain import OBJECTIVE_WORDS

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

BLUE, ORANGE, TEAL, PURPLE = "#3A7FC2", "#CF6A17", "#1B9A77", "#9A68C4"
PALETTE = (BLUE, ORANGE, TEAL, PURPLE)
# More points than a screen has pixels cost megabytes and minutes, and show nothing.
MAX_POINTS = 1500


def loss_figure(run: RunData) -> Figure | None:
    """What the steps lower, at each (a loss in nats, or another objective), smoothed, and on held-out rows."""
    objective = run.objective
    of_records = [(r.step, r.loss if objective == "loss" else r.objective) for r in run.evaluations]
    held_out = [(step, value) for step, value in of_records if value is not None]
    if not run.steps and not held_out:
        return None
    figure = empty_figure("loss, nats" if objective == "loss" else OBJECTIVE_WORDS[objective])
    if run.steps:
        steps, losses = thin([s.step for s in run.steps], [s.loss for s in run.steps])
        # The average runs over every step, and is thinned after.
        _, smooth = thin([s.step for s in run.steps], exponential_average([s.loss for s in run.steps]))
        draw_line(figure, steps, losses, "each step", BLUE, mode="markers", opacity=0.45, marker={"size": 4})
        draw_line(figure, steps, smooth, "smoothed", BLUE, line={"width": 2.5})
    if held_out:
        x, y = zip(*held_out, strict=True)
        marker = {"size": 8, "symbol": "diamond"}
        draw_line(figure, x, y, "held-out", ORANGE, mode="lines+markers", line={"dash": "dot"}, marker=marker)
    return figure


def accuracy_figure(run: RunData) -> Figure | None:
    """Held-out accuracy (percent) over steps, with its 95 % Wilson interval."""
    if not run.evaluations:
        return None
    figure = empty_figure("accuracy, %")
    x = [record.step for record in run.evaluations]
    ends = [wilson_interval(round(r.accuracy * r.examples), r.examples) for r in run.evaluations]
    low, high = [100 * end[0] for end in ends], [100 * end[1] for end in ends]
    hidden: dict[str, Any] = {"line": {"width": 0}, "hoverinfo": "skip"}
    draw_line(figure, x, high, "upper end", TEAL, showlegend=False, **hidden)
    draw_line(figure, x, low, "95 % interval", TEAL, fill="tonexty", fillcolor=_faint(TEAL), **hidden)
    accuracy = [100 * record.accuracy for record in run.evaluations]
    marker = {"size": [11 if r.best else 6 for r in run.evaluations], "opacity": 1, "line": {"width": 0}}
    draw_line(figure, x, accuracy, "accuracy", TEAL, mode="lines+markers", marker=marker)
    return figure


def memory_figure(run: RunData) -> Figure | None:
    """Memory by kind (MB) over steps."""
    kinds = (
        ("RssAnon, highest so far", "rss_anon_peak_bytes", ORANGE, "dot"),
        ("RssAnon", "rss_anon_bytes", ORANGE, "solid"),
        ("RssFile", "rss_file_bytes", BLUE, "dash"),
        ("VmHWM", "vm_hwm_bytes", PURPLE, "dashdot"),
    )
    figure = empty_figure("MB")
    for name, field, colour, dash in kinds:
        values = [_megabytes(getattr(record, field)) for record in run.steps]
        if any(value is not None for value in values):
            x, y = thin([record.step for record in run.steps], values)
            draw_line(figure, x, y, name, colour, line={"dash": dash})
    if not figure.data:
        return None
    return figure.update_yaxes(rangemode="tozero")


def time_figure(run: RunData) -> Figure | None:
    """Milliseconds of each step, by phase, stacked."""
    if not run.steps:
        return None
    figure = empty_figure("ms a step")
    phases = (("probe", BLUE), ("update", ORANGE), ("encode", TEAL), ("journal", PURPLE))
    for name, colour in phases:
        values = [getattr(record, f"{name}_ms") for record in run.steps]
        x, y = thin([record.step for record in run.steps], values)
        draw_line(figure, x, y, name, colour, stackgroup="phases", line={"width": 1}, fillcolor=_faint(colour, 0.55))
    return figure.update_yaxes(rangemode="tozero")


def gradient_figure(run: RunData) -> Figure | None:
    """The projected gradient of each step (nats per unit of epsilon) above the coefficient made of it."""
    if not run.steps:
        return None
    subplots = import_extra("plotly.subplots", "report", "the report")
    figure = subplots.make_subplots(rows=2, cols=1, shared_xaxes=True, vertical_spacing=0.09)
    figure.update_layout(**_layout())
    rows = (
        ("projected gradient", "projected_gradient", PURPLE, "circle"),
        ("coefficient", "coefficient", ORANGE, "diamond"),
    )
    for row, (name, field, colour, symbol) in enumerate(rows, start=1):
        values = [getattr(record, field) for record in run.steps]
        x, y = thin([record.step for record in run.steps], values, average=False)
        marker = {"size": 4, "symbol": symbol}
        draw_line(figure, x, y, name, colour, mode="markers", opacity=0.75, marker=marker, row=row, col=1)
    figure.update_xaxes(zeroline=False)
    figure.update_yaxes(zeroline=True, zerolinewidth=1, title={"standoff": 6})
    figure.update_yaxes(title_text="gradient", row=1, col=1)
    figure.update_yaxes(title_text="coefficient", row=2, col=1)
    return figure.update_xaxes(title_text="step", row=2, col=1)


def exponential_average(values: Sequence[float | None], weight: float = 0.05) -> list[float | None]:
    """The bias-corrected exponential moving average (Kingma and Ba 2015, section 3); gaps stay gaps.

    Args:
        values: ``None`` where a value was not finite; such places are left out of the average.
        weight: of the newest value.
    """
    total = normaliser = 0.0
    averages: list[float | None] = []
    for value in values:
        if value is None:
            averages.append(None)
            continue
        total += weight * (value - total)
        normaliser += weight * (1 - normaliser)
        averages.append(total / normaliser)
    return averages


def thin(
    x: Sequence[int], y: Sequence[float | None], limit: int = MAX_POINTS, *, average: bool = True
) -> tuple[list[int], list[float | None]]:
    """At most ``limit`` points of a long line: the mean of each run of neighbours, or its first point.

    Each mean stands at the last step of its neighbours. Means flatten single spikes; where those are the
    point, as in a scatter, ask for ``average=False``.
    """
    size = -(-len(x) // limit)
    if size <= 1:
        return list(x), list(y)
    if not average:
        return list(x[::size]), list(y[::size])
    thin_x, thin_y = [], []
    for start in range(0, len(x), size):
        group = [value for value in y[start : start + size] if value is not None]
        thin_x.append(x[min(start + size, len(x)) - 1])
        thin_y.append(sum(group) / len(group) if group else None)
    return thin_x, thin_y


def _layout() -> dict[str, Any]:
    return {
        # An empty template: plotly's own is 7 kB in every figure, and paints its own background.
        "template": {},
        "paper_bgcolor": "rgba(0,0,0,0)",
        "plot_bgcolor": "rgba(0,0,0,0)",
        "margin": {"l": 60, "r": 12, "t": 28, "b": 44},
        "height": 340,
        "hovermode": "x unified",
        # Dragging must scroll the page on a phone, not zoom the chart.
        "dragmode": False,
        "legend": {"orientation": "h", "x": 0, "y": 1.02, "yanchor": "bottom"},
        "font": {"size": 13, "family": "system-ui, sans-serif"},
    }


def empty_figure(y_title: str, x_title: str = "step") -> Figure:
    """A chart without lines."""
    figure = import_extra("plotly.graph_objects", "report", "the report").Figure(layout=_layout())
    figure.update_xaxes(title={"text": x_title}, zeroline=False)
    return figure.update_yaxes(title={"text": y_title, "standoff": 6}, zeroline=False)


def draw_line(
    figure: Figure,
    x: Sequence[float],
    y: Sequence[float | None],
    name: str,
    colour: str,
    *,
    row: int | None = None,
    col: int | None = None,
    mode: str = "lines",
    **options: Any,
) -> None:
    """Adds a line, or points, to ``figure``; ``options`` are those of plotly's scatter."""
    options["line"] = {"color": colour, "width": 2} | options.get("line", {})
    if "markers" in mode:
        options["marker"] = {"color": colour} | options.get("marker", {})
    trace = {"type": "scatter", "x": list(x), "y": list(y), "name": name, "mode": mode} | options
    figure.add_trace(trace, row=row, col=col)


def _faint(colour: str, alpha: float = 0.2) -> str:
    red, green, blue = (int(colour[i : i + 2], 16) for i in (1, 3, 5))
    return f"rgba({red},{green},{blue},{alpha})"


def _megabytes(count: int | None) -> float | None:
    return None if count is None else round(count / 1e6, 2)
