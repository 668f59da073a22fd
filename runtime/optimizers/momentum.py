"""Heavy-ball momentum (Polyak 1964) over normalised steps: the state moves by a velocity that remembers earlier noise.

    c_t = - learning_rate * schedule(t) * (1 - momentum) * clip(g_t / rms_t, +-clip)        as in normalised.py
    velocity <- fl(fl(momentum * velocity) + c_t z_t),    state <- fl(state + velocity)

Each operation rounds once and none is fused, so every machine and language gets the same bits. In the long run a step
moves the state as far along its noise as a normalised one. Memory: another vector as long as the state.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

import msgspec
import numpy as np
import numpy.typing as npt
from msgspec import Meta

from seedtune.runtime.estimators.protocol import Doubles, Floats
from seedtune.runtime.graphs.state import State
from seedtune.runtime.optimizers.averaged import Average, averaged
from seedtune.runtime.optimizers.normalised import Clip, Normalised, RmsDecay
from seedtune.runtime.optimizers.protocol import Optimizer
from seedtune.runtime.optimizers.schedule import LearningRate, Schedule, ScheduleOption


class MomentumSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="kind", tag="momentum"):
    """Settings of :class:`Momentum`."""

    learning_rate: LearningRate = 3e-2
    schedule: ScheduleOption = "linear"
    rms_decay: RmsDecay = 0.98
    clip: Clip = 3.0
    momentum: Annotated[float, Meta(ge=0, lt=1, description="What a step keeps of the velocity before it.")] = 0.9
    average: Average = 0.0

    @property
    def vectors(self) -> int:
        """How many vectors as long as the state it keeps: the velocity, and a mean, if it averages."""
        return 1 + int(self.average > 0)

    def build(self, steps: int, probes: int = 1) -> Optimizer:
        """The optimizer of a run of ``steps`` steps of ``probes`` records."""
        inner = Momentum(self.learning_rate, steps, self.schedule, self.rms_decay, self.clip, self.momentum)
        return averaged(inner, self.average, steps, probes)


class Momentum(Normalised):
    """See the module docstring."""

    def __init__(
        self,
        learning_rate: float,
        steps: int,
        schedule: Schedule = "linear",
        rms_decay: float = 0.98,
        clip: float = 3.0,
        momentum: float = 0.9,
    ) -> None:
        super().__init__(learning_rate, steps, schedule, rms_decay, clip)
        self.momentum = momentum
        self._velocity: State | None = None

    def coefficients(self, step: int, proposal: Doubles) -> Floats:
        """See :class:`~seedtune.runtime.optimizers.protocol.Optimizer`."""
        return self._scaled(-self.rate(step) * (1.0 - self.momentum), proposal)

    def move(self, state: State, seeds: Sequence[int] | npt.NDArray[np.uint32], coefficients: Floats) -> None:
        """See the module docstring; the velocity is this optimizer's, so one of them moves one state."""
        if self._velocity is None:
            self._velocity = state.zero_like()
        velocity = self._velocity
        kept = np.float32(self.momentum)
        for seed, coefficient in zip(seeds, coefficients, strict=True):
            velocity.values *= kept
            velocity.apply([int(seed)], coefficient[None])
            state.values += velocity.values
