"""From the settings of a run to the way it finds its steps."""

from __future__ import annotations

from pathlib import Path

from seedtune.runtime.estimators.gradient import GradientSettings
from seedtune.runtime.graphs.state import State
from seedtune.runtime.graphs.types import Graphs
from seedtune.runtime.model.kept_states import KeptStates
from seedtune.runtime.optimizers.adamw import AdamWSettings
from seedtune.runtime.run.methods.gradient import ByGradient
from seedtune.runtime.run.methods.probes import ByProbes
from seedtune.runtime.run.methods.protocol import Method
from seedtune.runtime.run.settings import Settings


def method_of(settings: Settings, graphs: Graphs, state: State, run: Path) -> Method:
    """The method that ``settings``, which have been checked, name.

    Args:
        settings: of the run.
        graphs: of its bundle.
        state: which the method moves.
        run: the RUN folder.

    Raises:
        SeedTuneError: the bundle lacks the graph that it needs.
    """
    optimizer = settings.optimizer
    if isinstance(settings.estimator, GradientSettings):
        assert isinstance(optimizer, AdamWSettings)
        kept = KeptStates(run, graphs.bundle.manifest.state.parameters)
        return ByGradient(settings.estimator.build(graphs), optimizer.build(settings.steps), state, kept)
    assert not isinstance(optimizer, AdamWSettings)
    estimator = settings.estimator.build(graphs)
    return ByProbes(graphs.bundle.manifest, estimator, optimizer.build(settings.steps, estimator.probes), state)
