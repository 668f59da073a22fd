"""Learning-rate schedules: the factor of each step, a pure function of its number."""

from __future__ import annotations

import math
from typing import Annotated, Literal

from msgspec import Meta

Schedule = Literal["linear", "cosine", "constant"]
# The two options that every optimizer has.
LearningRate = Annotated[
    float,
    Meta(
        gt=0,
        description="How far a typical step moves every parameter of the state, at the start; 0.002 by default with "
        "adamw. With damped the part of a solution that is taken, 1 by default.",
    ),
]
ScheduleOption = Annotated[
    Schedule, Meta(description="How the learning rate falls over the run; constant by default with damped.")
]


def factor(schedule: Schedule, step: int, steps: int) -> float:
    """The factor of step ``step`` (0-based) of ``steps``: from 1 towards 0, or always 1.

    The last step still moves: linear ends at 1/steps.
    """
    if schedule == "constant":
        return 1.0
    remaining = (steps - step) / steps
    if schedule == "linear":
        return remaining
    return 0.5 * (1.0 - math.cos(math.pi * remaining))
