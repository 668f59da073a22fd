"""The loop along exact gradients: rows -> batches -> loss and gradient -> another state -> journal.

As `steps.py` it knows nothing of files, screens or devices. The journal records what proves a step, not what makes it
again: the state after it has to be kept elsewhere.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from seedtune.runtime.batches.types import Feeder
from seedtune.runtime.estimators.gradient import Gradient
from seedtune.runtime.estimators.protocol import Floats
from seedtune.runtime.journal.records import GradientRecord
from seedtune.runtime.loop.taken import Clock, Counted, DivergedError, StepTaken
from seedtune.runtime.optimizers.adamw import AdamW
from seedtune.runtime.vectors import sha256_of_vector


@dataclass(frozen=True, kw_only=True)
class Descended(StepTaken):
    """What one step along a gradient did.

    Attributes:
        loss: mean loss of its rows before it.
        gradient_norm: Euclidean, before it was shortened.
    """

    loss: float
    gradient_norm: float


def descend(
    *,
    gradient: Gradient,
    optimizer: AdamW,
    rows_of: Callable[[int], Sequence[int] | npt.NDArray[np.int64]],
    feeder: Feeder,
    values: Floats,
    record: Callable[[Sequence[GradientRecord]], Callable[[], None] | None],
    first_step: int,
    steps: int,
    limit: int,
) -> Iterator[Descended]:
    """Runs steps ``first_step`` .. ``steps - 1`` (0-based), one per iteration; stop by not asking for the next.

    Args:
        gradient: measures.
        optimizer: has already made the steps before ``first_step``.
        rows_of: step (0-based) -> the rows it sees, as a `Sampler` chooses them.
        feeder: makes batches of the rows.
        values: the state [n], changed in place.
        record: puts the record of a step into the journal, after the state has moved; what it returns, if anything, is
            called before the step is told of, and returns when the record is durable.
        first_step: steps already in ``values``.
        steps: where to end.
        limit: units (``feeder.unit``) that a call of the graph may have; bounds memory.

    Raises:
        DivergedError: the loss or its gradient is not finite.
    """
    for step in range(first_step, steps):
        clock = Clock()
        batches = Counted(feeder, rows_of(step), limit)
        found = gradient.measure(values, batches)
        probe_ms = clock.lap() - batches.encode_ms
        norm, rate = found.norm, optimizer.rate(step)
        if not np.isfinite(found.loss) or not np.isfinite(norm):
            raise DivergedError(
                f"the loss of step {step + 1} is not finite; the run stopped before it, nothing of it was recorded",
                value=f"loss {found.loss}, gradient of norm {norm} at learning rate {rate:g}",
                rule="loss and gradient of a step are finite",
                remedy="start a new run with a smaller --learning-rate (a tenth, say); the state before this step is "
                "kept",
            )
        optimizer.move(step, values, found.gradient, norm)
        update_ms = clock.lap()
        settle = record([GradientRecord(found.loss, rate, sha256_of_vector(values))])
        if settle is not None:
            settle()
        yield Descended(
            step=step + 1,
            loss=found.loss,
            gradient_norm=norm,
            learning_rate=rate,
            work=batches.work,
            passes=1,
            encode_ms=batches.encode_ms,
            probe_ms=probe_ms,
            journal_ms=clock.lap(),
            update_ms=update_ms,
        )
