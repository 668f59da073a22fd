"""The mean of the last states instead of the last one (Polyak and Juditsky 1992; of a tail: Jain et al. 2018).

    of the m-th of the last ``int(average * steps)`` steps:  mean <- fl(mean + fl(fl(state - mean) * fl(1 / m)))

The steps go on from the state; the mean is what is evaluated, kept and told. It follows from the journal alone, and is
the same bits everywhere, as no operation is fused. Before the tail begins the state itself stands for it. Memory: one
more vector as long as the state.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

import numpy as np
import numpy.typing as npt
from msgspec import Meta

from seedtune.runtime.estimators.protocol import Doubles, Estimate, Floats
from seedtune.runtime.graphs.state import State
from seedtune.runtime.optimizers.protocol import Optimizer

Average = Annotated[
    float,
    Meta(
        ge=0, le=1, description="Share of the steps, the last ones, whose mean state is the result; 0: the last state."
    ),
]


def averaged(optimizer: Optimizer, average: float, steps: int, probes: int) -> Optimizer:
    """``optimizer`` with the mean of its last states, if ``average`` is not 0; ``probes`` are the records of a step."""
    return Averaged(optimizer, average, steps, probes) if average else optimizer


class Averaged(Optimizer):
    """See the module docstring; one of them moves one state."""

    def __init__(self, inner: Optimizer, average: float, steps: int, probes: int) -> None:
        self._inner = inner
        self._probes = probes
        self._first = steps - max(1, int(average * steps))
        self._done = 0
        self._mean: State | None = None

    def rate(self, step: int) -> float:
        """See :class:`Optimizer`."""
        return self._inner.rate(step)

    def coefficients(self, step: int, proposal: Doubles) -> Floats:
        """See :class:`Optimizer`."""
        return self._inner.coefficients(step, proposal)

    def see(self, step: int, estimate: Estimate, coefficients: Floats) -> None:
        """See :class:`Optimizer`."""
        self._inner.see(step, estimate, coefficients)

    def move(self, state: State, seeds: Sequence[int] | npt.NDArray[np.uint32], coefficients: Floats) -> None:
        """See :class:`Optimizer`; whole steps."""
        before = min(len(seeds), max(0, self._first - self._done) * self._probes)
        self._inner.move(state, seeds[:before], coefficients[:before])
        self._done += before // self._probes
        for place in range(before, len(seeds), self._probes):
            chosen = slice(place, place + self._probes)
            self._inner.move(state, seeds[chosen], coefficients[chosen])
            self._done += 1
            self._take(state)

    def evaluated(self, state: State) -> State:
        """See :class:`Optimizer`."""
        return state if self._mean is None else self._mean

    def _take(self, state: State) -> None:
        if self._mean is None:
            self._mean = state.zero_like()
        difference = state.values - self._mean.values
        difference *= np.float32(1.0 / (self._done - self._first))
        self._mean.values += difference
