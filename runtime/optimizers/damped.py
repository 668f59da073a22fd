"""Steps that an estimator has solved for, taken whole or in part (Gauss-Newton with a damped step).

    coefficients = learning_rate * schedule(t) * solution

The solution is already as long as it should be, so the learning rate is 1 and stays. How it was found is not in the
journal, which has the mean losses only: a resumed run takes recorded coefficients as they are.
"""

from __future__ import annotations

import msgspec
import numpy as np

from seedtune.runtime.estimators.protocol import Doubles, Estimate, Floats
from seedtune.runtime.optimizers.averaged import Average, averaged
from seedtune.runtime.optimizers.protocol import Optimizer
from seedtune.runtime.optimizers.schedule import LearningRate, ScheduleOption, factor


class DampedSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="kind", tag="damped"):
    """Settings of :class:`Damped`."""

    learning_rate: LearningRate = 1.0
    schedule: ScheduleOption = "constant"
    average: Average = 0.0

    @property
    def vectors(self) -> int:
        """How many vectors as long as the state it keeps: a mean, if it averages."""
        return int(self.average > 0)

    def build(self, steps: int, probes: int = 1) -> Optimizer:
        """The optimizer of a run of ``steps`` steps of ``probes`` records."""
        return averaged(Damped(self, steps), self.average, steps, probes)


class Damped(Optimizer):
    """See the module docstring."""

    def __init__(self, settings: DampedSettings, steps: int) -> None:
        self.settings = settings
        self.steps = steps

    def rate(self, step: int) -> float:
        """See :class:`Optimizer`."""
        return self.settings.learning_rate * factor(self.settings.schedule, step, self.steps)

    def coefficients(self, step: int, proposal: Doubles) -> Floats:
        """See :class:`Optimizer`; the proposal is a solution."""
        return (self.rate(step) * proposal).astype(np.float32)

    def see(self, step: int, estimate: Estimate, coefficients: Floats) -> None:
        """See :class:`Optimizer`: nothing is remembered, and nothing recorded tells another step from this one."""
