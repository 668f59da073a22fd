"""The estimators there are, as a closed union: a run names one by its ``kind``, and a file can name no other."""

from __future__ import annotations

from seedtune.runtime.estimators.two_sided import TwoSidedSettings

EstimatorSettings = TwoSidedSettings
ESTIMATORS: tuple[type[EstimatorSettings], ...] = (TwoSidedSettings,)
