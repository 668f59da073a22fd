"""Tables of what results are there, however many: means over seeds, and differences paired by test row."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats

from lab.accuracy.results import Result

CONFIDENCE = 0.95
NOTHING = "-"


@dataclass(frozen=True)
class Cell:
    """A method on a task.

    Attributes:
        accuracies: of each seed.
        half: of the 95 % t interval of their mean; None below two seeds.
        loss, seconds, example_passes: means.
        peak_bytes: the most of any seed, where it is known.
        correct: [seeds, test rows].
    """

    accuracies: list[float]
    half: float | None
    loss: float
    seconds: float
    example_passes: float
    peak_bytes: int | None
    correct: np.ndarray

    @property
    def mean(self) -> float:
        """Accuracy over seeds."""
        return statistics.fmean(self.accuracies)

    @property
    def text(self) -> str:
        """As percentages, for a table."""
        if self.half is None:
            return f"{100 * self.mean:.1f}"
        return f"{100 * self.mean:.1f} ± {100 * self.half:.1f} ({len(self.accuracies)})"


@dataclass(frozen=True)
class Difference:
    """Points by which a method is above another on a task, the seeds that both have averaged first.

    ``half`` is of the 95 % interval over test rows: what another draw of rows might have given.
    """

    points: float
    half: float

    @property
    def text(self) -> str:
        """For a table."""
        return f"{self.points:+.1f} ± {self.half:.1f}"


def cells(results: Iterable[Result]) -> dict[tuple[str, str], Cell]:
    """(Method, task) -> what its results come to; of several results of one seed the newest."""
    found: dict[tuple[str, str], dict[int, Result]] = {}
    for result in results:
        found.setdefault((result.method, result.task), {})[result.seed] = result
    return {place: _cell([of_seed[seed] for seed in sorted(of_seed)]) for place, of_seed in found.items()}


def difference(one: Cell, other: Cell) -> Difference:
    """``one`` above ``other``, which were measured on the same test rows."""
    per_row = 100 * (one.correct.mean(axis=0) - other.correct.mean(axis=0))
    error = float(per_row.std(ddof=1) / np.sqrt(len(per_row)))
    return Difference(float(per_row.mean()), float(stats.norm.ppf((1 + CONFIDENCE) / 2)) * error)


def accuracy_rows(found: dict[tuple[str, str], Cell], methods: Sequence[str], tasks: Sequence[str]) -> list[list[str]]:
    """One line a method: its name and its accuracy on every task; methods without any result are left out."""
    return [
        [method, *(found[method, task].text if (method, task) in found else NOTHING for task in tasks)]
        for method in methods
        if any((method, task) in found for task in tasks)
    ]


def difference_rows(
    found: dict[tuple[str, str], Cell], methods: Sequence[str], tasks: Sequence[str], base: str
) -> list[list[str]]:
    """One line a method: points above ``base`` on every task where both are there, and the mean over these tasks."""
    rows = []
    for method in methods:
        shared = [task for task in tasks if (method, task) in found and (base, task) in found]
        both = {task: difference(found[method, task], found[base, task]) for task in shared}
        if method != base and both:
            mean = statistics.fmean(one.points for one in both.values())
            rows.append([method, *(both[task].text if task in both else NOTHING for task in tasks), f"{mean:+.1f}"])
    return rows


def cost_rows(found: dict[tuple[str, str], Cell], methods: Sequence[str]) -> list[list[str]]:
    """One line a method: example passes, seconds and peak memory, the mean (memory: the most) over its tasks."""
    rows = []
    for method in methods:
        own = [cell for (name, _), cell in found.items() if name == method]
        if own:
            peaks = [cell.peak_bytes for cell in own if cell.peak_bytes is not None]
            passes, seconds = (statistics.fmean(values) for values in zip(*map(_cost, own), strict=True))
            peak = f"{max(peaks) / 1e6:,.0f} MB" if peaks else NOTHING
            rows.append([method, f"{passes:,.0f}", f"{seconds:.1f} s", peak])
    return rows


def _cost(cell: Cell) -> tuple[float, float]:
    return cell.example_passes, cell.seconds


def _cell(results: list[Result]) -> Cell:
    accuracies = [float(result.outcome["accuracy"]) for result in results]
    half = None
    if len(accuracies) > 1:
        spread = statistics.stdev(accuracies) / len(accuracies) ** 0.5
        half = float(stats.t.ppf((1 + CONFIDENCE) / 2, len(accuracies) - 1)) * spread
    peaks = [result.outcome["peak_bytes"] for result in results if result.outcome["peak_bytes"] is not None]
    loss, seconds, passes = (
        statistics.fmean(result.outcome[name] for result in results) for name in ("loss", "seconds", "example_passes")
    )
    return Cell(
        accuracies,
        half,
        loss,
        seconds,
        passes,
        max(peaks, default=None),
        np.array([[mark == "1" for mark in result.outcome["correct"]] for result in results], np.float64),
    )
