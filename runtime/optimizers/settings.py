"""The optimizers of probes and of gradients, as a closed union: a run names one by its ``kind``, a file no other."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from seedtune.runtime.errors import SeedTuneError
from seedtune.runtime.estimators.settings import estimator_of
from seedtune.runtime.kinds import kind_of
from seedtune.runtime.optimizers.adamw import AdamWSettings
from seedtune.runtime.optimizers.damped import DampedSettings
from seedtune.runtime.optimizers.momentum import MomentumSettings
from seedtune.runtime.optimizers.normalised import NormalisedSettings
from seedtune.runtime.optimizers.protocol import Optimizer
from seedtune.runtime.optimizers.standardised import StandardisedSettings

ProbeOptimizerSettings = NormalisedSettings | MomentumSettings | StandardisedSettings | DampedSettings
OptimizerSettings = ProbeOptimizerSettings | AdamWSettings
OF_PROBES: tuple[type[ProbeOptimizerSettings], ...] = (
    NormalisedSettings,
    MomentumSettings,
    StandardisedSettings,
    DampedSettings,
)
OPTIMIZERS: tuple[type[OptimizerSettings], ...] = (*OF_PROBES, AdamWSettings)


def optimizer_of(settings: Mapping[str, Any]) -> Optimizer:
    """The optimizer of probes that the flat ``settings`` of a journal's header name.

    Raises:
        SeedTuneError: this version knows no such optimizer, or not these settings of it.
    """
    steps = settings.get("steps")
    if not isinstance(steps, int) or steps < 1:
        raise SeedTuneError("the settings have no steps", value=steps, rule="steps >= 1", remedy="start a new run")
    return kind_of(settings, "optimizer", OF_PROBES).build(steps, estimator_of(settings).probes)
