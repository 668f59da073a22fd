"""Settings of the recipe asymmetric."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

MAX_SEED = 2**32 - 1


class AsymmetricSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Settings of asymmetric adversarial training: a trunk, a robust and a non-robust head."""

    epochs: Annotated[int, Meta(ge=1, description="Passes over the training pictures.")] = 20
    batch_size: Annotated[int, Meta(ge=1, description="Pictures a step.")] = 100
    learning_rate: Annotated[float, Meta(gt=0, le=1, description="Of Adam, at its highest.")] = 2e-3
    bound: Annotated[float, Meta(gt=0, le=1, description="How far an attack may change a value of a picture.")] = 0.3
    attack_steps: Annotated[int, Meta(ge=1, le=1000, description="Of the attack within a step of learning.")] = 7
    attack_step: Annotated[float, Meta(gt=0, le=1, description="Of the bound, that a step of the attack goes.")] = 0.33
    target_share: Annotated[
        float,
        Meta(
            gt=0,
            le=1,
            description="Of a step's pictures, those that are attacked toward another class, on the joint classifier; "
            "the others are attacked away from their own, on the robust one.",
        ),
    ] = 0.2
    robust_dimensions: Annotated[int, Meta(ge=1, le=4096, description="Of the robust head's features.")] = 128
    non_robust_dimensions: Annotated[int, Meta(ge=1, le=4096, description="Of the non-robust head's features.")] = 64
    robust_weight: Annotated[float, Meta(ge=0, description="Of the robust head's loss on attacked pictures.")] = 20.0
    target_weight: Annotated[
        float,
        Meta(ge=0, description="Of the non-robust head's, which is to say the attack's target; 0: no such loss."),
    ] = 1.0
    shift: Annotated[int, Meta(ge=0, le=64, description="Pixels by which pictures are moved while learning.")] = 0
    seed: Annotated[int, Meta(ge=0, le=MAX_SEED, description="Everything random follows from it.")] = 0
