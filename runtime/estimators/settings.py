"""The estimators there are, as a closed union: a run names one by its ``kind``, and a file can name no other."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from seedtune.runtime.estimators.gauss_newton import GaussNewtonSettings
from seedtune.runtime.estimators.gradient import GradientSettings
from seedtune.runtime.estimators.one_sided import OneSidedSettings
from seedtune.runtime.estimators.two_sided import TwoSidedSettings
from seedtune.runtime.kinds import kind_of

ProbeEstimatorSettings = TwoSidedSettings | GaussNewtonSettings | OneSidedSettings
EstimatorSettings = ProbeEstimatorSettings | GradientSettings
ESTIMATORS: tuple[type[EstimatorSettings], ...] = (
    TwoSidedSettings,
    GaussNewtonSettings,
    OneSidedSettings,
    GradientSettings,
)


def estimator_of(settings: Mapping[str, Any]) -> EstimatorSettings:
    """The settings of the estimator that the flat ``settings`` of a run name.

    Raises:
        SeedTuneError: this version knows no such estimator, or not these settings of it.
    """
    return kind_of(settings, "estimator", ESTIMATORS)
