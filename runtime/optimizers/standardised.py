"""Descent along K slopes at once, in units of their standard deviation in the step itself (FZOO, arXiv 2506.09034).

    coefficient_k = - learning_rate * schedule(t) * g_k / (K deviation),   deviation^2 = sum_k (g_k - mean)^2 / (K - 1)

Slopes along random directions vary as the gradient is long, so this is a normalised step without a memory: nothing is
kept from step to step, and a resumed run needs only the losses. FZOO divides by the deviation of the losses, which is
epsilon times that of the slopes: its learning rate is this one times epsilon.
"""

from __future__ import annotations

import msgspec
import numpy as np

from seedtune.runtime.estimators.protocol import Doubles, Floats
from seedtune.runtime.optimizers.averaged import Average, averaged
from seedtune.runtime.optimizers.protocol import Optimizer
from seedtune.runtime.optimizers.schedule import LearningRate, ScheduleOption, factor


class StandardisedSettings(
    msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="kind", tag="standardised"
):
    """Settings of :class:`Standardised`."""

    learning_rate: LearningRate = 3e-2
    schedule: ScheduleOption = "linear"
    average: Average = 0.0

    @property
    def vectors(self) -> int:
        """How many vectors as long as the state it keeps: a mean, if it averages."""
        return int(self.average > 0)

    def build(self, steps: int, probes: int = 1) -> Optimizer:
        """The optimizer of a run of ``steps`` steps of ``probes`` records."""
        return averaged(Standardised(self, steps), self.average, steps, probes)


class Standardised(Optimizer):
    """See the module docstring."""

    def __init__(self, settings: StandardisedSettings, steps: int) -> None:
        self.settings = settings
        self.steps = steps

    def rate(self, step: int) -> float:
        """See :class:`Optimizer`."""
        return self.settings.learning_rate * factor(self.settings.schedule, step, self.steps)

    def coefficients(self, step: int, proposal: Doubles) -> Floats:
        """See :class:`Optimizer`; zeros where all slopes of a group are equal.

        Raises:
            ValueError: there is one probe, which has no deviation.
        """
        count = len(proposal)
        if count < 2:
            raise ValueError("a deviation takes two probes")
        # One after the other, as any language can add.
        away = proposal - np.cumsum(proposal, axis=0)[-1] / count
        deviation = np.sqrt(np.cumsum(away * away, axis=0)[-1] / (count - 1))
        scaled = np.divide(proposal, deviation, out=np.zeros_like(proposal), where=deviation != 0.0)
        # Slopes that are all equal give 0, not -0.
        return np.where(deviation == 0.0, 0.0, -self.rate(step) * scaled / count).astype(np.float32)
