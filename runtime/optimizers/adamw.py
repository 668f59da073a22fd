"""AdamW (Loshchilov and Hutter 2019, arXiv 1711.05101, algorithm 2) for exact gradients.

    g <- g * min(1, clip_norm / |g|)
    m <- beta1 m + (1 - beta1) g,    v <- beta2 v + (1 - beta2) g^2
    step  =  m / (1 - beta1^t) / (sqrt(v / (1 - beta2^t)) + 1e-8) + weight_decay state
    state <- state - learning_rate schedule(t) step

Each operation rounds once to float32 and none is fused, so that the same gradients give the same bits everywhere.
Memory: two more vectors as long as the state, and one for the step.
"""

from __future__ import annotations

from typing import Annotated

import msgspec
import numpy as np
from msgspec import Meta

from seedtune.runtime.estimators.protocol import Floats
from seedtune.runtime.optimizers.schedule import LearningRate, ScheduleOption, factor

# Keeps a parameter that never had a gradient from dividing by 0.
STABILITY = np.float32(1e-8)


class AdamWSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="kind", tag="adamw"):
    """Settings of :class:`AdamW`."""

    learning_rate: LearningRate = 2e-3
    schedule: ScheduleOption = "linear"
    beta1: Annotated[float, Meta(ge=0, lt=1, description="What a step keeps of the mean gradient.")] = 0.9
    beta2: Annotated[float, Meta(ge=0, lt=1, description="What a step keeps of the mean squared gradient.")] = 0.999
    weight_decay: Annotated[
        float, Meta(ge=0, description="What each step takes from the state, in units of the learning rate.")
    ] = 0.01
    clip_norm: Annotated[float, Meta(gt=0, description="Largest norm of a gradient; longer ones are shortened.")] = 1.0

    @property
    def vectors(self) -> int:
        """How many vectors as long as the state it keeps: both moments."""
        return 2

    def build(self, steps: int) -> AdamW:
        """The optimizer of a run of ``steps`` steps."""
        return AdamW(self, steps)


class AdamW:
    """See the module docstring; ``first_moment`` and ``second_moment`` are [n] float32, None before the first step."""

    def __init__(self, settings: AdamWSettings, steps: int) -> None:
        self.settings = settings
        self.steps = steps
        self.first_moment: Floats | None = None
        self.second_moment: Floats | None = None
        self._kept1 = self._kept2 = 1.0

    def rate(self, step: int) -> float:
        """The scheduled learning rate of step ``step`` (0-based)."""
        return self.settings.learning_rate * factor(self.settings.schedule, step, self.steps)

    def restore(self, steps: int, first_moment: Floats, second_moment: Floats) -> None:
        """Goes on behind ``steps`` steps, after which the moments [n] were these."""
        self.first_moment, self.second_moment = first_moment, second_moment
        for _ in range(steps):
            self._forget()

    def _forget(self) -> None:
        # Products rather than powers: they have the same bits in every language.
        self._kept1 *= self.settings.beta1
        self._kept2 *= self.settings.beta2

    def move(self, step: int, values: Floats, gradient: Floats, norm: float) -> None:
        """Changes the state ``values`` [n] in place.

        Args:
            step: 0-based, one more than in the call before.
            values: the state.
            gradient: [n], changed as well: it is used up.
            norm: of the gradient.
        """
        settings = self.settings
        self._forget()
        if self.first_moment is None or self.second_moment is None:
            self.first_moment, self.second_moment = np.zeros_like(values), np.zeros_like(values)
        if norm > settings.clip_norm:
            gradient *= np.float32(settings.clip_norm / norm)
        first, second = self.first_moment, self.second_moment
        first *= np.float32(settings.beta1)
        first += np.float32(1.0 - settings.beta1) * gradient
        gradient *= gradient
        second *= np.float32(settings.beta2)
        gradient *= np.float32(1.0 - settings.beta2)
        second += gradient
        # The gradient's memory becomes the step's.
        np.multiply(second, np.float32(1.0 / (1.0 - self._kept2)), out=gradient)
        np.sqrt(gradient, out=gradient)
        gradient += STABILITY
        np.divide(first, gradient, out=gradient)
        gradient *= np.float32(1.0 / (1.0 - self._kept1))
        if settings.weight_decay:
            gradient += np.float32(settings.weight_decay) * values
        gradient *= np.float32(self.rate(step))
        values -= gradient
