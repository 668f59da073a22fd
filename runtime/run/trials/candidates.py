"""What a run could do that left its method or its learning rate open: by method, the preferred one first."""

from __future__ import annotations

from collections.abc import Collection

from seedtune.runtime.bundle.manifest import Manifest
from seedtune.runtime.bundle.stage_plan import GRADIENT
from seedtune.runtime.estimators.gradient import GradientSettings
from seedtune.runtime.estimators.settings import EstimatorSettings
from seedtune.runtime.estimators.two_sided import TwoSidedSettings
from seedtune.runtime.run.options import options_of, word_of
from seedtune.runtime.run.settings import FITTING, Settings

# The default first: it is what remains where there is time for one. Probes want less where all layers carry state, more
# where few do, and less behind a closed form (docs/log/2026-11-26.md); gradients less behind a closed form.
RATES: dict[type[EstimatorSettings], tuple[float, ...]] = {
    TwoSidedSettings: (0.03, 0.1, 0.01),
    GradientSettings: (2e-3, 5e-4),
}
# Derivative-free is what runs everywhere, and its journal is the model.
BY_PREFERENCE: tuple[type[EstimatorSettings], ...] = (TwoSidedSettings, GradientSettings)


def candidates(
    settings: Settings, given: Collection[str], manifest: Manifest, *, limited: bool
) -> list[list[Settings]]:
    """Settings to choose among: a list for each method, by preference, of one for each learning rate.

    Args:
        settings: what was given, and defaults.
        given: the names of the options that were given, which stay.
        manifest: of the bundle.
        limited: whether there is a memory limit, within which only one of probe and gradient is open.
    """
    found = []
    for kind in BY_PREFERENCE:
        possible = kind is not GradientSettings or (GRADIENT in manifest.graphs and not limited)
        if not _fits(kind, settings, given) or not (possible or "estimator" in given):
            continue
        of_kind = settings.changed({"estimator": word_of(kind)})
        rates = (of_kind.optimizer.learning_rate,) if "learning_rate" in given else RATES[kind]
        found.append([of_kind.changed({"learning_rate": rate}) for rate in rates])
    return found


def _fits(kind: type[EstimatorSettings], settings: Settings, given: Collection[str]) -> bool:
    """Whether every option that was given is one of ``kind`` or of an optimizer that goes with it."""
    if "estimator" in given and not isinstance(settings.estimator, kind):
        return False
    if "optimizer" in given and not isinstance(settings.optimizer, FITTING[kind]):
        return False
    words = {word_of(kind), *map(word_of, FITTING[kind])}
    return all(not option.of or words & set(option.of) for option in options_of(Settings) if option.name in given)
