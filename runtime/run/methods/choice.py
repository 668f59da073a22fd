"""From the settings of a run to the way it finds its steps."""

from __future__ import annotations

from pathlib import Path

from seedtune.runtime.bundle.manifest import Manifest
from seedtune.runtime.estimators.gradient import Gradient
from seedtune.runtime.estimators.protocol import Estimator
from seedtune.runtime.graphs.state import State
from seedtune.runtime.model.kept_states import KeptStates
from seedtune.runtime.optimizers.adamw import AdamWSettings
from seedtune.runtime.run.methods.gradient import ByGradient
from seedtune.runtime.run.methods.probes import ByProbes
from seedtune.runtime.run.methods.protocol import Method
from seedtune.runtime.run.options import word_of
from seedtune.runtime.run.settings import Settings


def method_of(
    settings: Settings, estimator: Estimator | Gradient, manifest: Manifest, state: State, run: Path
) -> Method:
    """The method that ``settings``, which have been checked, name.

    Args:
        settings: of the run.
        estimator: of ``settings``, open.
        manifest: of the bundle.
        state: which the method moves.
        run: the RUN folder.
    """
    optimizer = settings.optimizer
    if isinstance(estimator, Gradient):
        assert isinstance(optimizer, AdamWSettings)
        kept = KeptStates(run, manifest.state.parameters)
        return ByGradient(estimator, optimizer.build(settings.steps), state, kept)
    assert not isinstance(optimizer, AdamWSettings)
    return ByProbes(manifest, estimator, optimizer.build(settings.steps, estimator.probes), state)


def method_name(settings: Settings) -> str:
    """How ``settings`` find steps, as on the command line: two-sided or gradient."""
    return word_of(type(settings.estimator)).replace("_", "-")
