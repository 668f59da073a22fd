"""The tuning loop: rows -> batch -> two losses -> coefficient -> journal -> state.

Knows nothing of files, screens or devices: it is handed what it calls and yields one event a step.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from seedtune.runtime.data.batches import Example, micro_batches
from seedtune.runtime.data.sampler import Sampler
from seedtune.runtime.errors import SeedTuneError
from seedtune.runtime.estimators.two_sided import Estimate, Estimator
from seedtune.runtime.journal.format import Record, probe_seed
from seedtune.runtime.state import State


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
    """What one step did. ``step`` counts from 1; times are milliseconds."""

    step: int
    estimate: Estimate
    coefficient: float
    learning_rate: float
    rows: int
    tokens: int
    padding_tokens: int
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
    examples: Sequence[Example],
    state: State,
    record: Callable[[Record], None],
    run_seed: int,
    first_step: int,
    steps: int,
    tokens_per_call: int,
    padding_id: int,
) -> Iterator[StepEvent]:
    """Runs steps ``first_step`` .. ``steps - 1`` (0-based), one per iteration; stop by not asking for the next.

    Args:
        estimator: measures a projected gradient.
        optimizer: has already seen the steps before ``first_step``.
        sampler: chooses the examples of each step.
        examples: the tokenised training rows.
        state: changed in place, after ``record`` has returned.
        record: puts a step into the journal, durably.
        run_seed: the seed of everything.
        first_step: steps already in ``state``.
        steps: where to end.
        tokens_per_call: tokens of one side that a call of the graph may have; bounds memory.
        padding_id: fills short rows.

    Raises:
        DivergedError: a loss is not finite.
    """
    for step in range(first_step, steps):
        clock = _Clock()
        chosen = [examples[index] for index in sampler.indices(step)]
        batches = list(micro_batches(chosen, tokens_per_call, padding_id))
        encode_ms = clock.lap()
        seed = probe_seed(run_seed, step)
        estimate = estimator.measure(state.values, seed, batches)
        probe_ms = clock.lap()
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
            rows=sum(2 * batch.tokens for batch in batches),
            tokens=sum(batch.tokens - batch.padding_tokens for batch in batches),
            padding_tokens=sum(batch.padding_tokens for batch in batches),
            encode_ms=encode_ms,
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
