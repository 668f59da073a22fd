"""Charts draw what the run says, and can be read by all eyes."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from seedtune.runtime.report import figures
from seedtune.runtime.report.collect import RunData, collect
from seedtune.runtime.report.statistics import wilson_interval

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

pytest.importorskip("plotly")
WriteRun = Callable[..., Path]
ALL = [getattr(figures, f"{name}_figure") for name in ("loss", "accuracy", "memory", "time", "gradient")]


def luminance(colour: str) -> float:
    """Relative luminance of ``#rrggbb`` (WCAG 2.2)."""
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    red, green, blue = (p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


@pytest.mark.parametrize("page", ["#ffffff", "#181c23"])
@pytest.mark.parametrize("colour", figures.PALETTE)
def test_every_colour_has_contrast_on_light_and_dark(colour: str, page: str) -> None:
    light, dark = sorted([luminance(colour), luminance(page)], reverse=True)
    assert (light + 0.05) / (dark + 0.05) >= 3


def drawn(figure: Figure | None) -> tuple[Any, ...]:
    """The traces of a figure that has something to draw."""
    assert figure is not None
    return figure.data


@pytest.mark.parametrize("figure", ALL)
def test_an_empty_run_draws_nothing(write_run: WriteRun, figure: Callable[[RunData], object]) -> None:
    assert figure(collect(write_run(steps=0, held_out=0, finished=False))) is None


def test_accuracy_carries_its_wilson_band(write_run: WriteRun) -> None:
    run = collect(write_run())
    upper, lower, line = drawn(figures.accuracy_figure(run))
    last = run.evaluations[-1]
    low, high = wilson_interval(round(last.accuracy * last.examples), last.examples)
    assert (lower.y[-1], line.y[-1], upper.y[-1]) == pytest.approx((100 * low, 100 * last.accuracy, 100 * high))


def test_memory_is_in_megabytes_and_unknown_kinds_are_left_out(write_run: WriteRun) -> None:
    folder = write_run(steps=3)
    log = folder / "steps.jsonl"
    records = [json.loads(line) | {"rss_file_bytes": None} for line in log.read_text().splitlines()]
    log.write_text("".join(json.dumps(record) + "\n" for record in records))
    traces = {trace.name: trace for trace in drawn(figures.memory_figure(collect(folder)))}
    assert set(traces) == {"RssAnon", "RssAnon, highest so far", "VmHWM"}
    assert traces["VmHWM"].y[0] == 560.0


def test_exponential_average_starts_at_the_first_value_and_skips_gaps() -> None:
    assert figures.exponential_average([2.0, None, 2.0]) == [pytest.approx(2.0), None, pytest.approx(2.0)]
    averages = figures.exponential_average([0.0] * 50 + [1.0] * 200)
    assert averages[49] == 0.0
    assert averages[-1] == pytest.approx(1.0, abs=1e-3)


def test_long_lines_are_thinned_and_keep_their_mean() -> None:
    x = list(range(1, 10_001))
    thin_x, thin_y = figures.thin(x, [float(v) for v in x], 1000)
    assert len(thin_x) == len(thin_y) == 1000
    assert (thin_x[-1], thin_y[0]) == (10_000, 5.5)
    assert figures.thin([1, 2, 3], [None, None, 4.0], 2) == ([2, 3], [None, 4.0])
    assert figures.thin([], []) == ([], [])
