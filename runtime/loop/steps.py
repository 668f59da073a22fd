"""The tuning loop: rows -> batch -> two losses -> coefficient -> journal -> state.

Knows nothing of files, screens or devices: it is handed what it calls and yields one event a step.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Protocol

from seedtune.runtime.batches.types import Batch, Feeder
from seedtune.runtime.errors import SeedTuneError
from seedtune.runtime.estimators.two_sided import Estimate, Estimator
from seedtune.runtime.journal.format import Record, probe_seed
from seedtune.runtime.loop.sampler import Sampler
from seedtune.runtime.loop.state import State


class Optimizer(Protocol):
    """Turns projected gradients into coefficients, one a step, in order."""

    def rate(self, step: int) -> float:
        """The scheduled learning rate of a step (0-based)."""
        ...

    def coefficient(self, step: int, projected_gradient: float) -> float:
        """The float32 factor of the step's noise."""
        ...


@dataclass(frozen=True)
class StepEvent:
    """What one step did. ``step`` counts from 1; times are milliseconds; see `telemetry.records.StepRecord`."""

    step: int
    estimate: Estimate
    coefficient: float
    learning_rate: float
    rows: int
    tokens: int
    padding_tokens: int
    prefix_tokens: int
    prefix_padding_tokens: int
    encode_ms: float
    probe_ms: float
    journal_ms: float
    update_ms: float


class DivergedError(SeedTuneError):
    """The loss of a step is not finite. The state and the journal end with the step before."""


def tune(
    *,
    estimator: Estimator,
    optimizer: Optimizer,
    sampler: Sampler,
    feeder: Feeder,
    state: State,
    record: Callable[[Record], None],
    run_seed: int,
    first_step: int,
    steps: int,
    tokens_per_call: int,
) -> Iterator[StepEvent]:
    """Runs steps ``first_step`` .. ``steps - 1`` (0-based), one per iteration; stop by not asking for the next.

    Args:
        estimator: measures a projected gradient.
        optimizer: has already seen the steps before ``first_step``.
        sampler: chooses the examples of each step.
        feeder: makes batches of the training rows.
        state: changed in place, after ``record`` has returned.
        record: puts a step into the journal, durably.
        run_seed: the seed of everything.
        first_step: steps already in ``state``.
        steps: where to end.
        tokens_per_call: tokens of one side that a call of the graph may have; bounds memory.

    Raises:
        DivergedError: a loss is not finite.
    """
    for step in range(first_step, steps):
        clock = _Clock()
        batches = _Counted(feeder.batches(sampler.indices(step), tokens_per_call))
        seed = probe_seed(run_seed, step)
        estimate = estimator.measure(state.values, seed, batches)
        probe_ms = clock.lap() - batches.encode_ms
        _require_finite(estimate, step, optimizer.rate(step))
        coefficient = optimizer.coefficient(step, estimate.projected_gradient)
        record(Record(coefficient, estimate.loss_plus, estimate.loss_minus))
        journal_ms = clock.lap()
        state.apply([seed], [coefficient])
        yield StepEvent(
            step=step + 1,
            estimate=estimate,
            coefficient=coefficient,
            learning_rate=optimizer.rate(step),
            rows=2 * batches.tokens,
            tokens=batches.tokens - batches.padding_tokens,
            padding_tokens=batches.padding_tokens,
            prefix_tokens=batches.prefix_tokens - batches.prefix_padding_tokens,
            prefix_padding_tokens=batches.prefix_padding_tokens,
            encode_ms=batches.encode_ms,
            probe_ms=probe_ms,
            journal_ms=journal_ms,
            update_ms=clock.lap(),
        )


def _require_finite(estimate: Estimate, step: int, rate: float) -> None:
    if math.isfinite(estimate.loss_plus) and math.isfinite(estimate.loss_minus):
        return
    raise DivergedError(
        f"the loss of step {step + 1} is not finite; the run stopped before it, nothing of it was recorded",
        value=f"{estimate.loss_plus} / {estimate.loss_minus} at learning rate {rate:g}",
        rule="both losses of a step are finite",
        remedy="start a new run with a smaller --learning-rate (a tenth, say); the state before this step is kept",
    )


class _Clock:
    """Milliseconds since the last lap."""

    def __init__(self) -> None:
        self._last = time.perf_counter()

    def lap(self) -> float:
        now = time.perf_counter()
        passed, self._last = now - self._last, now
        return passed * 1e3


class _Counted:
    """Passes batches on one at a time, as memory wants it, and counts them and the time they took to make."""

    def __init__(self, batches: Iterator[Batch]) -> None:
        self._batches = batches
        self.tokens = self.padding_tokens = self.prefix_tokens = self.prefix_padding_tokens = 0
        self.encode_ms = 0.0

    def __iter__(self) -> Iterator[Batch]:
        while True:
            clock = _Clock()
            batch = next(self._batches, None)
            self.encode_ms += clock.lap()
            if batch is None:
                return
            self.tokens += batch.tokens
            self.padding_tokens += batch.padding_tokens
            self.prefix_tokens += batch.prefix_tokens
            self.prefix_padding_tokens += batch.prefix_padding_tokens
            yield batch
            del batch
