"""The time that a run may take in all, and the refusal of one in which nothing can be done."""

from __future__ import annotations

import contextlib
import math
import time
from collections.abc import Callable, Generator
from typing import TypeVar

from seedtune.runtime.durations import short_duration
from seedtune.runtime.errors import SeedTuneError
from seedtune.runtime.telemetry.events import CachingContexts, Notice

# What a refusal proposes is so much more than what was measured: that is the least of which something is left.
ROOM = 1.5
# Of caching the first row, which also opens the graph, nothing is concluded.
ROWS_BEFORE_PROJECTION = 4

Result = TypeVar("Result")


class Budget:
    """``seconds`` from ``started`` on.

    Args:
        seconds: of the whole run.
        started: when the run began, by ``clock``, the time before it was resumed included.
        clock: seconds from any start, rising; for tests.
    """

    def __init__(self, seconds: float, started: float, clock: Callable[[], float] = time.monotonic) -> None:
        self.seconds = seconds
        self.started = started
        self.clock = clock

    @property
    def elapsed(self) -> float:
        """Seconds since the run began."""
        return self.clock() - self.started

    @property
    def left(self) -> float:
        """Seconds that are left, perhaps below 0."""
        return self.seconds - self.elapsed

    def require(self, seconds: float, what: str, *, resume: bool) -> None:
        """Raises SeedTuneError where less than ``seconds`` are left for ``what``, and says what is the least.

        Args:
            seconds: that are needed from now on.
            what: they are for.
            resume: whether the folder holds a run that can go on.
        """
        if self.left >= seconds:
            return
        least = ROOM * (self.elapsed + seconds)
        whole = math.ceil(least / 60) * 60 if least > 100 else math.ceil(least)
        again = f"--resume --budget {whole}s" if resume else f"--budget {whole}s; what was cached is not computed again"
        raise SeedTuneError(
            f"the budget is too short: {what}",
            value=f"--budget {self.seconds:g}s, {short_duration(self.elapsed)} of which have passed",
            rule=f"at least about {short_duration(whole)} here",
            remedy=f"give {again}",
        )

    def watching(
        self, caching: Generator[CachingContexts | Notice, None, Result]
    ) -> Generator[CachingContexts | Notice, None, Result]:
        """Passes on what ``caching`` tells, and ends it as soon as it can be seen to take longer than there is.

        Raises:
            SeedTuneError: the contexts alone take more than the budget.
        """
        began, first = self.clock(), 0
        # Closed at once where this ends early: it holds the lock of the cache.
        with contextlib.closing(caching):
            while True:
                try:
                    event = next(caching)
                except StopIteration as end:
                    result: Result = end.value
                    return result
                if isinstance(event, CachingContexts) and event.done:
                    if not first:
                        began, first = self.clock(), event.done
                    elif event.done - first >= ROWS_BEFORE_PROJECTION:
                        a_row = (self.clock() - began) / (event.done - first)
                        left = event.total - event.done
                        what = f"computing the contexts of {left:,} more rows of {event.name} takes"
                        self.require(a_row * left, f"{what} about {short_duration(a_row * left)}", resume=False)
                yield event
