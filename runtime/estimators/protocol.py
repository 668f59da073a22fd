"""What an estimator is: from a state, seeds and batches to the slope of the loss along each seed's noise.

K is the number of probes a step, G the number of groups: one state for all rows (G = 1), or a state a row.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

from seedtune.runtime.batches.types import Batch

Floats = npt.NDArray[np.float32]
Doubles = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Estimate:
    """The probes of one step, and what they imply.

    Attributes:
        loss_plus: [K, G] float32 mean losses at ``state + epsilon z``, as the journal keeps them.
        loss_minus: [K, G] likewise at ``state - epsilon z``.
        projected_gradient: [K, G] float64.
    """

    loss_plus: Floats
    loss_minus: Floats
    projected_gradient: Doubles

    @property
    def loss(self) -> float:
        """Mean of both sides: the loss at the state itself, up to second order in epsilon."""
        return float((self.loss_plus.astype(np.float64) + self.loss_minus).mean() / 2)


class Estimator(Protocol):
    """Measures the loss along random directions."""

    @property
    def probes(self) -> int:
        """K, the seeds of a step."""
        ...

    def measure(self, state: Floats, seeds: Sequence[int], batches: Iterable[Batch]) -> Estimate:
        """The estimate over all rows of ``batches``.

        Args:
            state: [n], or [G, n] with one state a row.
            seeds: [K] of the noise.
            batches: of G rows where the state has groups: the row at place g (``Batch.index``) has state g.
        """
        ...

    def estimate_from(self, loss_plus: Floats, loss_minus: Floats) -> Estimate:
        """The estimate that recorded losses [K, G] stand for; the same when measured and when read back."""
        ...
