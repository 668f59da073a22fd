"""Stochastic descent along the noise, with the projected gradient measured in units of its own running size.

    v_t = rms_decay * v_{t-1} + (1 - rms_decay) * g_t^2,   rms_t = sqrt(v_t / (1 - rms_decay^t))
    coefficient_t = - learning_rate * schedule(t) * clip(g_t / rms_t, +-clip)

so the learning rate is how far a typical step moves every parameter, whatever the loss's scale. One scalar of memory a
group, recovered on resume from the losses in the journal. Of K probes a step each has a K-th of the step, and g^2 is
their mean.
"""

from __future__ import annotations

from typing import Annotated

import msgspec
import numpy as np
from msgspec import Meta

from seedtune.runtime.estimators.protocol import Doubles, Floats
from seedtune.runtime.optimizers.averaged import Average, averaged
from seedtune.runtime.optimizers.protocol import Optimizer
from seedtune.runtime.optimizers.schedule import LearningRate, Schedule, ScheduleOption, factor

RmsDecay = Annotated[float, Meta(gt=0, lt=1, description="Of the running size of the projected gradient, a step.")]
Clip = Annotated[float, Meta(gt=0, description="Largest step, in units of a typical one.")]


class NormalisedSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="kind", tag="normalised"):
    """Settings of :class:`Normalised`."""

    learning_rate: LearningRate = 3e-2
    schedule: ScheduleOption = "linear"
    rms_decay: RmsDecay = 0.98
    clip: Clip = 3.0
    average: Average = 0.0

    @property
    def vectors(self) -> int:
        """How many vectors as long as the state it keeps: a mean, if it averages."""
        return int(self.average > 0)

    def build(self, steps: int, probes: int = 1) -> Optimizer:
        """The optimizer of a run of ``steps`` steps of ``probes`` records."""
        inner = Normalised(self.learning_rate, steps, self.schedule, self.rms_decay, self.clip)
        return averaged(inner, self.average, steps, probes)


class Normalised(Optimizer):
    """See the module docstring."""

    def __init__(
        self,
        learning_rate: float,
        steps: int,
        schedule: Schedule = "linear",
        rms_decay: float = 0.98,
        clip: float = 3.0,
    ) -> None:
        self.learning_rate = learning_rate
        self.steps = steps
        self.schedule = schedule
        self.rms_decay = rms_decay
        self.clip = clip
        self._mean_square: Doubles | float = 0.0
        self._forgotten = 1.0

    def rate(self, step: int) -> float:
        """See :class:`Optimizer`."""
        return self.learning_rate * factor(self.schedule, step, self.steps)

    def coefficients(self, step: int, proposal: Doubles) -> Floats:
        """See :class:`Optimizer`."""
        return self._scaled(-self.rate(step), proposal)

    def _scaled(self, factor_of_step: float, projected_gradient: Doubles) -> Floats:
        """``factor_of_step`` times the normalised gradient, [K, G] float32."""
        # Products rather than powers: they have the same bits in every language.
        self._forgotten *= self.rms_decay
        # One after the other, as any language can add.
        square = np.cumsum(projected_gradient * projected_gradient, axis=0)[-1] / len(projected_gradient)
        self._mean_square = self.rms_decay * self._mean_square + (1.0 - self.rms_decay) * square
        root = np.sqrt(self._mean_square / (1.0 - self._forgotten))
        normalised = np.divide(projected_gradient, root, out=np.zeros_like(projected_gradient), where=root != 0.0)
        step = factor_of_step * np.clip(normalised, -self.clip, self.clip) / len(projected_gradient)
        # A gradient that was never anything but 0 gives 0, not -0.
        return np.where(root == 0.0, 0.0, step).astype(np.float32)
