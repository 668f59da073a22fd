"""What every loop says of a step, and the clock and the counter that it measures with."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass

from seedtune.runtime.batches.types import Batch, Work
from seedtune.runtime.errors import SeedTuneError


@dataclass(frozen=True, kw_only=True)
class StepTaken:
    """What one step did, whichever way it was found.

    Attributes:
        step: from 1.
        learning_rate: the scheduled one.
        work: what one pass over the rows computes.
        passes: forward passes of each row.
        encode_ms: making batches.
        probe_ms: running the graph.
        journal_ms: recording.
        update_ms: moving the state.
    """

    step: int
    learning_rate: float
    work: Work
    passes: int
    encode_ms: float
    probe_ms: float
    journal_ms: float
    update_ms: float


class DivergedError(SeedTuneError):
    """The loss of a step is not finite. The state and the journal end with the step before."""


class Clock:
    """Milliseconds since the last lap."""

    def __init__(self) -> None:
        self._last = time.perf_counter()

    def lap(self) -> float:
        """Since it was made, or since the call before."""
        now = time.perf_counter()
        passed, self._last = now - self._last, now
        return passed * 1e3


class Counted:
    """Passes batches on one at a time, as memory wants it, and counts their work and the time they took to make."""

    def __init__(self, batches: Iterator[Batch]) -> None:
        self._batches = batches
        self.work = Work()
        self.encode_ms = 0.0

    def __iter__(self) -> Iterator[Batch]:
        while True:
            clock = Clock()
            batch = next(self._batches, None)
            self.encode_ms += clock.lap()
            if batch is None:
                return
            self.work += batch.work
            yield batch
            del batch
