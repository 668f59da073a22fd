"""Stochastic descent along the noise, with the projected gradient measured in units of its own running size.

    v_t = decay * v_{t-1} + (1 - decay) * g_t^2,   rms_t = sqrt(v_t / (1 - decay^t))
    coefficient_t = - learning_rate * schedule(t) * clip(g_t / rms_t, +-limit)

so the learning rate is how far a typical step moves every parameter, whatever the loss's scale. One scalar of memory,
recovered on resume from the losses in the journal.
"""

from __future__ import annotations

import math

import numpy as np

from seedtune.runtime.optimizers.schedule import Schedule, factor


class Normalised:
    """See the module docstring. ``coefficient`` must be asked once per step, in order."""

    def __init__(
        self,
        learning_rate: float,
        steps: int,
        schedule: Schedule = "linear",
        decay: float = 0.98,
        limit: float = 3.0,
    ) -> None:
        self.learning_rate = learning_rate
        self.steps = steps
        self.schedule = schedule
        self.decay = decay
        self.limit = limit
        self._mean_square = 0.0
        self._forgotten = 1.0

    def rate(self, step: int) -> float:
        """The scheduled learning rate of step ``step`` (0-based)."""
        return self.learning_rate * factor(self.schedule, step, self.steps)

    def coefficient(self, step: int, projected_gradient: float) -> float:
        """The float32 value that the noise of step ``step`` (0-based) is multiplied with."""
        # Products rather than powers: they have the same bits in every language.
        self._forgotten *= self.decay
        self._mean_square = self.decay * self._mean_square + (1.0 - self.decay) * (
            projected_gradient * projected_gradient
        )
        root = math.sqrt(self._mean_square / (1.0 - self._forgotten))
        if root == 0.0:
            return 0.0
        normalised = min(max(projected_gradient / root, -self.limit), self.limit)
        return float(np.float32(-self.rate(step) * normalised))
