"""What a person sees while a run goes on: one line on stderr, and nothing at all in a pipe's way.

On a terminal: a live bar with step, time left, loss, held-out accuracy and memory. Elsewhere (a log file,
adb, CI): one plain line every ten seconds and one at the end, so that a log stays readable. Standard output
is never touched.
"""

from __future__ import annotations

import math
import statistics
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, Progress, ProgressColumn, SpinnerColumn, Task, TaskID, TextColumn
from rich.text import Text

from seedtune.runtime.durations import short_duration
from seedtune.runtime.telemetry.events import (
    CachingContexts,
    ChoosingBatchSize,
    Evaluated,
    Evaluating,
    Event,
    Finished,
    Notice,
    Planned,
    Prepared,
    Step,
    TryingSettings,
)
from seedtune.runtime.telemetry.records import StepRecord

PLAIN_LINE_SECONDS = 10.0
# The time left follows from the median of so many steps, so that one during which the machine slept does not count.
RECENT_STEPS = 31
# Weight of the newest value in the moving average of the loss: about the last twenty steps count. A guess that reads
# well.
_SMOOTHING = 0.1


class RunProgress:
    """What a person sees of a run or an evaluation: a listener, and a context manager.

    Args:
        console: where to draw; stderr if not given.
        clock: seconds from any start, rising; for tests.
    """

    def __init__(self, console: Console | None = None, clock: Callable[[], float] = time.monotonic) -> None:
        self._console = console or Console(stderr=True)
        self._clock = clock
        self._live = self._console.is_terminal
        self._steps = self._done = 0
        self._loss: float | None = None
        self._step_ms: deque[float] = deque(maxlen=RECENT_STEPS)
        self._memory_bytes: int | None = None
        self._accuracy: float | None = None
        self._phase: _Phase | None = None
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
            transient=True,
        )
        self._bar: TaskID | None = None

    def __enter__(self) -> RunProgress:
        self._last_line_at = self._clock()
        self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._progress.stop()
        if not self._live and self._stale and self._steps:
            self._print_line()

    def on(self, event: Event) -> None:
        """Shows ``event``."""
        match event:
            case Prepared(steps=steps):
                self._steps = steps
                self._bar = self._progress.add_task("tuning", total=steps, status=self.status())
            case CachingContexts(name, done, total):
                self._in_phase(f"caching contexts of {name}", done, total)
            case ChoosingBatchSize(done, total):
                self._in_phase("choosing the batch size", done, total)
            case TryingSettings(method, learning_rate, done, total):
                self._in_phase(f"trying {method} at {learning_rate:g}", done, total)
            case Planned(expected=expected):
                self._steps = expected.steps
                if self._bar is not None:
                    self._progress.update(self._bar, total=expected.steps)
            case Evaluating(done, total):
                self._in_phase("evaluating", done, total)
            case Step(record):
                self._step(record)
            case Evaluated(record):
                self._accuracy = record.accuracy
                self._refresh()
            case Notice(text):
                self._progress.console.print(text, markup=False, highlight=False, soft_wrap=True)
            case Finished():
                self._refresh()

    def status(self) -> str:
        """Time left, smoothed loss, held-out accuracy and RssAnon (MB), those that are known."""
        parts = []
        if self._step_ms and self._done < self._steps:
            left_ms = (self._steps - self._done) * statistics.median(self._step_ms)
            parts.append(f"{short_duration(left_ms / 1000)} left")
        if self._loss is not None:
            parts.append(f"loss {self._loss:.4f}")
        if self._accuracy is not None:
            parts.append(f"held-out {100 * self._accuracy:.1f} %")
        if self._memory_bytes is not None:
            parts.append(f"{self._memory_bytes / 1e6:.0f} MB")
        return " · ".join(parts)

    def _step(self, record: StepRecord) -> None:
        self._done = record.step
        self._loss = _average(self._loss, record.loss)
        self._step_ms.append(record.total_ms)
        self._memory_bytes = record.rss_anon_bytes
        self._refresh()

    def _in_phase(self, name: str, done: int, total: int) -> None:
        """A second bar for something that is no step, gone when it is done."""
        if self._phase is None or self._phase.name != name:
            self._end_phase()
            self._phase = _Phase(name, total, self._progress.add_task(name, total=total, status=""))
        self._phase.done = done
        self._progress.update(self._phase.task, completed=done)
        self._refresh()
        if done == total:
            self._end_phase()

    def _end_phase(self) -> None:
        if self._phase is not None:
            self._progress.remove_task(self._phase.task)
            self._phase = None

    def _refresh(self) -> None:
        if self._bar is not None:
            self._progress.update(self._bar, completed=self._done, status=self.status())
        self._stale = True
        if not self._live and self._clock() - self._last_line_at >= PLAIN_LINE_SECONDS:
            self._print_line()

    def _print_line(self) -> None:
        self._last_line_at = self._clock()
        self._stale = False
        parts = [f"step {self._done:,}/{self._steps:,}", self.status()] if self._steps else []
        if self._phase is not None:
            parts.append(f"{self._phase.name} {self._phase.done:,}/{self._phase.total:,}")
        print(" · ".join(part for part in parts if part), file=self._console.file, flush=True)


@dataclass
class _Phase:
    """A phase under way."""

    name: str
    total: int
    task: TaskID
    done: int = 0


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
