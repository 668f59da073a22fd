"""What an optimizer is: from what an estimator proposes to coefficients, and from coefficients to another state.

A step is recorded before the state moves, so both halves must follow from the record alone: the coefficients again from
its losses, in order (:meth:`Optimizer.see`), and the state from its coefficients (:meth:`Optimizer.move`). Where an
estimator solves for its step, the coefficients are the record's own, and only the second half follows.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np
import numpy.typing as npt

from seedtune.runtime.estimators.protocol import Doubles, Estimate, Floats
from seedtune.runtime.graphs.state import State


class OtherStepError(ValueError):
    """A recorded step is not the one that an optimizer would have taken.

    Attributes:
        found: [K, G] the recorded coefficients.
        expected: [K, G] those that follow from the recorded losses.
    """

    def __init__(self, found: Floats, expected: Floats) -> None:
        super().__init__(f"recorded {found}, expected {expected}")
        self.found = found
        self.expected = expected


class Optimizer(Protocol):
    """Turns the estimate of each step into the coefficients of its noise; asked once a step, in order."""

    def rate(self, step: int) -> float:
        """The scheduled learning rate of step ``step`` (0-based)."""
        ...

    def coefficients(self, step: int, proposal: Doubles) -> Floats:
        """What the noise of step ``step`` (0-based) is multiplied with, [K, G] float32.

        Args:
            step: one more than in the call before.
            proposal: [K, G], see `Estimate.proposal`: projected gradients, of most estimators.
        """
        ...

    def move(self, state: State, seeds: Sequence[int] | npt.NDArray[np.uint32], coefficients: Floats) -> None:
        """Changes ``state`` by recorded probes in order: R ``seeds``, and ``coefficients`` [R, G].

        ``state <- fl(state + c z)`` for each, unless an optimizer keeps something on the way.
        """
        state.apply(seeds, coefficients)

    def evaluated(self, state: State) -> State:
        """What is evaluated, kept and told after the steps made so far, of which ``state`` is the last one's."""
        return state

    def see(self, step: int, estimate: Estimate, coefficients: Floats) -> None:
        """Takes note of a step that was made before, as a resumed run does.

        Args:
            step: 0-based, in order.
            estimate: as it was recorded.
            coefficients: [K, G] as they were recorded.

        Raises:
            OtherStepError: this optimizer would have taken another step.
        """
        expected = self.coefficients(step, estimate.proposal)
        if expected.shape[1] > 1:
            # Of several groups those that have arrived are recorded with 0.
            expected = np.where(coefficients == 0, np.float32(0), expected)
        if not np.array_equal(expected, coefficients):
            raise OtherStepError(coefficients, expected)
