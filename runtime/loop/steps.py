"""The tuning loop: rows -> batches -> losses -> coefficients -> journal -> state.

Knows nothing of files, screens or devices, nor of what a row is: it is handed what it calls and yields one value a
step. K is the number of probes a step, G the number of groups: one state for all rows (G = 1), or a state a row.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from seedtune.runtime.batches.types import Feeder
from seedtune.runtime.estimators.protocol import Estimate, Estimator, Floats
from seedtune.runtime.graphs.state import State
from seedtune.runtime.journal.format import probe_seed
from seedtune.runtime.journal.records import Record
from seedtune.runtime.loop.taken import Clock, Counted, DivergedError, StepTaken
from seedtune.runtime.optimizers.protocol import Optimizer


@dataclass(frozen=True, kw_only=True)
class Taken(StepTaken):
    """What one step along noise did.

    Attributes:
        estimate: of K probes in G groups.
        coefficients: [K, G] float32.
    """

    estimate: Estimate
    coefficients: Floats


def tune(
    *,
    estimator: Estimator,
    optimizer: Optimizer,
    rows_of: Callable[[int], Sequence[int] | npt.NDArray[np.int64]],
    feeder: Feeder,
    state: State,
    record: Callable[[Sequence[Record]], Callable[[], None] | None],
    run_seed: int,
    first_step: int,
    steps: int,
    limit: int,
    stopped: Callable[[Estimate], npt.NDArray[np.bool_]] | None = None,
) -> Iterator[Taken]:
    """Runs steps ``first_step`` .. ``steps - 1`` (0-based), one per iteration; stop by not asking for the next.

    Args:
        estimator: measures projected gradients.
        optimizer: has already seen the steps before ``first_step``.
        rows_of: step (0-based) -> the rows it sees, as a `Sampler` chooses them.
        feeder: makes batches of the rows.
        state: changed in place, after ``record`` has returned.
        record: puts the K records of a step into the journal; what it returns, if anything, is called after the state
            has moved, and returns when they are durable. Only then is the step told of.
        run_seed: the seed of everything.
        first_step: steps already in ``state``.
        steps: where to end.
        limit: units of one side (``feeder.unit``) that a call of the graph may have; bounds memory.
        stopped: which groups have arrived, [G]: their coefficients are 0, so that their states stay (an optimizer with
            momentum lets them roll out).

    Raises:
        DivergedError: a loss is not finite.
    """
    for step in range(first_step, steps):
        clock = Clock()
        batches = Counted(feeder, rows_of(step), limit)
        seeds = [probe_seed(run_seed, step * estimator.probes + k) for k in range(estimator.probes)]
        estimate = estimator.measure(state.values, seeds, batches)
        probe_ms = clock.lap() - batches.encode_ms
        _require_finite(estimate, step, optimizer.rate(step))
        coefficients = optimizer.coefficients(step, estimate.proposal)
        if stopped is not None:
            coefficients = np.where(stopped(estimate), np.float32(0), coefficients)
        settle = record(
            [Record(*each) for each in zip(coefficients, estimate.loss_plus, estimate.loss_minus, strict=True)]
        )
        journal_ms = clock.lap()
        # Beside the disk, which needs a small model's whole update to flush 16 bytes.
        optimizer.move(state, seeds, coefficients)
        update_ms = clock.lap()
        if settle is not None:
            settle()
        journal_ms += clock.lap()
        yield Taken(
            step=step + 1,
            estimate=estimate,
            coefficients=coefficients,
            learning_rate=optimizer.rate(step),
            work=batches.work,
            passes=estimator.passes_a_row,
            encode_ms=batches.encode_ms,
            probe_ms=probe_ms,
            journal_ms=journal_ms,
            update_ms=update_ms,
        )


def _require_finite(estimate: Estimate, step: int, rate: float) -> None:
    if np.isfinite(estimate.loss_plus).all() and np.isfinite(estimate.loss_minus).all():
        return
    plus, minus = (losses.mean() for losses in (estimate.loss_plus, estimate.loss_minus))
    raise DivergedError(
        f"the loss of step {step + 1} is not finite; the run stopped before it, nothing of it was recorded",
        value=f"{plus} / {minus} at learning rate {rate:g}",
        rule="both losses of a step are finite",
        remedy="start a new run with a smaller --learning-rate (a tenth, say); the state before this step is kept",
    )
