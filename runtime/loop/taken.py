"""What every loop says of a step, and the clock and the counter that it measures with."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from seedtune.runtime.batches.types import Batch, Feeder, Integers, Work
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
    """Makes the batches of a step one at a time, as memory wants it, and counts their work and the time they take.

    Whoever iterates again has them made again; ``work`` is that of one time. Arguments as of `Feeder.batches`.
    """

    def __init__(self, feeder: Feeder, indices: Sequence[int] | Integers, limit: int) -> None:
        self._feeder = feeder
        self._indices = indices
        self._limit = limit
        self._again = False
        self.work = Work()
        self.encode_ms = 0.0

    def __iter__(self) -> Iterator[Batch]:
        counts, self._again = not self._again, True
        batches = self._feeder.batches(self._indices, self._limit)
        while True:
            clock = Clock()
            batch = next(batches, None)
            self.encode_ms += clock.lap()
            if batch is None:
                return
            if counts:
                self.work += batch.work
            yield batch
            del batch
