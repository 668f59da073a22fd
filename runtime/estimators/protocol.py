"""What an estimator is: from a state, seeds and batches to the slope of the loss along each seed's noise.

K is the number of probes a step, G the number of groups: one state for all rows (G = 1), or a state a row.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Annotated, Protocol

import numpy as np
import numpy.typing as npt
from msgspec import Meta

from seedtune.runtime.batches.types import Batch

Floats = npt.NDArray[np.float32]
Doubles = npt.NDArray[np.float64]
# The option of every estimator that moves to a side, and of those that look along several directions a step.
Epsilon = Annotated[
    float, Meta(gt=0, description="How far a probe moves every parameter: half the distance between its two sides.")
]
Directions = Annotated[
    int,
    Meta(
        ge=2,
        le=1 << 16,
        description="Directions of a step, each a record of the journal; 8 by default with one-sided.",
    ),
]


@dataclass(frozen=True, eq=False)
class Estimate:
    """The probes of one step, and what they imply.

    Attributes:
        loss_plus: [K, G] float32 mean losses at ``state + epsilon z``, as the journal keeps them.
        loss_minus: [K, G] likewise at ``state - epsilon z``, or at the state itself of an estimator with one side.
        projected_gradient: [K, G] float64.
        sides: two, or one.
        solution: [K, G] float64 coefficients of an estimator that solves for its step; None of the others.
    """

    loss_plus: Floats
    loss_minus: Floats
    projected_gradient: Doubles
    sides: int = 2
    solution: Doubles | None = None

    @property
    def loss(self) -> float:
        """The loss at the state itself; of two sides their mean, which it is up to second order in epsilon."""
        if self.sides == 1:
            return float(self.loss_minus.astype(np.float64).mean())
        return float((self.loss_plus.astype(np.float64) + self.loss_minus).mean() / 2)

    @property
    def proposal(self) -> Doubles:
        """What an optimizer makes coefficients of, [K, G]: slopes, or the coefficients that were solved for."""
        return self.projected_gradient if self.solution is None else self.solution


class Estimator(Protocol):
    """Measures the loss along random directions."""

    @property
    def probes(self) -> int:
        """K, the seeds of a step."""
        ...

    @property
    def passes_a_row(self) -> int:
        """How often a step runs each of its rows forward."""
        ...

    def measure(self, state: Floats, seeds: Sequence[int], batches: Iterable[Batch]) -> Estimate:
        """The estimate over all rows of ``batches``.

        Args:
            state: [n], or [G, n] with one state a row.
            seeds: [K] of the noise.
            batches: of G rows where the state has groups: the row at place g (``Batch.index``) has state g. Some
                estimators look at the rows twice: then it must begin anew when it is iterated again.
        """
        ...

    def estimate_from(self, loss_plus: Floats, loss_minus: Floats) -> Estimate:
        """The estimate that recorded losses [K, G] stand for; the same when measured and when read back."""
        ...
