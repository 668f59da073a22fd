"""What a person sees while a run goes on: one line on stderr, and nothing at all in a pipe's way.

On a terminal: a live bar with step, time left, loss, held-out accuracy and memory. Elsewhere (a log file,
adb, CI): one plain line every ten seconds and one at the end, so that a log stays readable. Standard output
is never touched.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, Progress, ProgressColumn, SpinnerColumn, Task, TaskID, TextColumn
from rich.text import Text

from seedtune.runtime.telemetry.records import EvaluationRecord, StepRecord

PLAIN_LINE_SECONDS = 10.0
# Weight of the newest value in the moving averages: about the last twenty steps count. A guess that reads
# well.
_SMOOTHING = 0.1


class RunProgress:
    """The progress of one run; a context manager.

    Args:
        total_steps: steps the run will have done at its end.
        first_step: steps already done, when a run is continued.
        console: where to draw; stderr if not given.
        clock: seconds from any start, rising; for tests.
    """

    def __init__(
        self,
        total_steps: int,
        *,
        first_step: int = 0,
        console: Console | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.total_steps = total_steps
        self._done = first_step
        self._console = console or Console(stderr=True)
        self._clock = clock
        self._live = self._console.is_terminal
        self._loss: float | None = None
        self._step_ms: float | None = None
        self._memory_bytes: int | None = None
        self._accuracy: float | None = None
        self._phase: PhaseProgress | None = None
        self._last_line_at = clock()
        self._stale = False
        self._progress = Progress(
            SpinnerColumn(),
            TextColumn("{task.description}", markup=False),
            BarColumn(bar_width=24),
            _CountColumn(),
            TextColumn("{task.fields[status]}", markup=False),
            console=self._console,
            disable=not self._live,
        )
        self._bar: TaskID | None = None

    def __enter__(self) -> RunProgress:
        self._last_line_at = self._clock()
        self._progress.start()
        self._bar = self._progress.add_task(
            "tuning", total=self.total_steps, completed=self._done, status=self.status()
        )
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._progress.stop()
        if not self._live and self._stale:
            self._print_line()

    def step(self, record: StepRecord) -> None:
        """Shows one more step."""
        self._done = record.step
        self._loss = _average(self._loss, record.loss)
        self._step_ms = _average(self._step_ms, record.total_ms)
        self._memory_bytes = record.rss_anon_bytes
        self._refresh()

    def evaluation(self, record: EvaluationRecord) -> None:
        """Shows the newest held-out accuracy."""
        self._accuracy = record.accuracy
        self._refresh()

    @contextmanager
    def phase(self, name: str, total: int | None = None) -> Iterator[PhaseProgress]:
        """A second bar for something that is no step, gone when the context ends.

        Args:
            name: what is being done, such as "evaluating".
            total: units of work, or ``None`` if not known.
        """
        task = self._progress.add_task(name, total=total, status="")
        outer = self._phase
        self._phase = PhaseProgress(self, name, total, task)
        try:
            yield self._phase
        finally:
            self._phase = outer
            self._progress.remove_task(task)

    def notice(self, text: str) -> None:
        """A line that stays."""
        self._progress.console.print(text, markup=False, highlight=False, soft_wrap=True)

    def status(self) -> str:
        """Time left, smoothed loss, held-out accuracy and RssAnon (MB), those that are known."""
        parts = []
        if self._step_ms is not None and self._done < self.total_steps:
            parts.append(f"{short_duration((self.total_steps - self._done) * self._step_ms / 1000)} left")
        if self._loss is not None:
            parts.append(f"loss {self._loss:.4f}")
        if self._accuracy is not None:
            parts.append(f"held-out {100 * self._accuracy:.1f} %")
        if self._memory_bytes is not None:
            parts.append(f"{self._memory_bytes / 1e6:.0f} MB")
        return " · ".join(parts)

    def _advance_phase(self, phase: PhaseProgress, count: int) -> None:
        phase.done += count
        self._progress.advance(phase.task, count)
        self._refresh()

    def _refresh(self) -> None:
        if self._bar is not None:
            self._progress.update(self._bar, completed=self._done, status=self.status())
        self._stale = True
        if not self._live and self._clock() - self._last_line_at >= PLAIN_LINE_SECONDS:
            self._print_line()

    def _print_line(self) -> None:
        self._last_line_at = self._clock()
        self._stale = False
        parts = [f"step {self._done:,}/{self.total_steps:,}", self.status()]
        if self._phase is not None:
            of_total = "" if self._phase.total is None else f"/{self._phase.total:,}"
            parts.append(f"{self._phase.name} {self._phase.done:,}{of_total}")
        print(" · ".join(part for part in parts if part), file=self._console.file, flush=True)


class PhaseProgress:
    """A phase under way, as :meth:`RunProgress.phase` gives it."""

    def __init__(self, owner: RunProgress, name: str, total: int | None, task: TaskID) -> None:
        self.name = name
        self.total = total
        self.task = task
        self.done = 0
        self._owner = owner

    def advance(self, count: int = 1) -> None:
        """Counts ``count`` more units as done."""
        self._owner._advance_phase(self, count)


def short_duration(seconds: float) -> str:
    """A duration for people, two units at most: ``8 s``, ``3 min 20 s``, ``2 h 05 min``, ``1 d 4 h``."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    if whole < 86400:
        return f"{whole // 3600} h {whole % 3600 // 60:02d} min"
    return f"{whole // 86400} d {whole % 86400 // 3600} h"


class _CountColumn(ProgressColumn):
    """``12/200``, or ``12`` where the total is not known."""

    def render(self, task: Task) -> Text:
        of_total = "" if task.total is None else f"/{int(task.total):,}"
        return Text(f"{int(task.completed):,}{of_total}")


def _average(before: float | None, value: float | None) -> float | None:
    # A loss that is not finite would stay in the average for ever.
    if value is None or not math.isfinite(value):
        return before
    return value if before is None else before + _SMOOTHING * (value - before)
