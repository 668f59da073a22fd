"""The optimizers there are, as a closed union: a run names one by its ``kind``, and a file can name no other."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from seedtune.runtime.errors import SeedTuneError
from seedtune.runtime.optimizers.momentum import MomentumSettings
from seedtune.runtime.optimizers.normalised import NormalisedSettings
from seedtune.runtime.optimizers.protocol import Optimizer

OptimizerSettings = NormalisedSettings | MomentumSettings
OPTIMIZERS: tuple[type[OptimizerSettings], ...] = (NormalisedSettings, MomentumSettings)
PREFIX = "optimizer."


def optimizer_of(settings: Mapping[str, Any]) -> Optimizer:
    """The optimizer that flat ``settings`` of a journal's header name.

    Raises:
        SeedTuneError: this version knows no such optimizer, or not these settings of it.
    """
    own = {name.removeprefix(PREFIX): value for name, value in settings.items() if name.startswith(PREFIX)}
    if not own:
        own = {"kind": "normalised"}
    try:
        chosen: OptimizerSettings = msgspec.convert(own, OptimizerSettings)
        return chosen.build(int(settings["steps"]))
    except (msgspec.ValidationError, KeyError, TypeError, ValueError) as error:
        raise SeedTuneError(
            f"the journal was written with an optimizer that this version does not know ({error})",
            value=own,
            rule=" or ".join(str(kind.__struct_config__.tag) for kind in OPTIMIZERS),
            remedy="upgrade seedtune",
        ) from error
