"""The states of several runs from one bundle, added or averaged: what federated tuning is built on.

A replayed state is its start plus what each step adds to it, and what a step adds does not depend on where the state
is. So the states of runs can be added as if their steps had been taken one after another,
``start + sum (state_i - start)``, and averaged, ``sum w_i state_i / sum w_i``. Both are computed in float64 in the
order of the states' own hashes and rounded once, so that the order in which runs are named makes no difference, to the
bit.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from seedtune.runtime.errors import SeedTuneError
from seedtune.runtime.graphs.state import State
from seedtune.runtime.model.tuned import Tuned, new_state

Doubles = npt.NDArray[np.float64]


def added(runs: Sequence[Tuned]) -> State:
    """The state of all steps of ``runs``, which have one bundle and one start.

    Raises:
        SeedTuneError: they start from different states, or one of them stands there twice.
    """
    _require_several(runs)
    starts = {None if run.start is None else run.start.tobytes() for run in runs}
    if len(starts) > 1:
        raise SeedTuneError(
            "runs that start from different states cannot be added: of their starts, all but one would count as steps",
            value=f"{len(starts)} starts",
            rule="one start; that of a run's head follows from its training rows, and --start zero needs none",
            remedy="average them instead",
        )
    beginning = new_state(runs[0].bundle, runs[0].start).values.astype(np.float64)
    total = beginning.copy()
    for values in _in_order([run.state for run in runs]):
        total += values - beginning
    return _rounded(runs, total)


def averaged(runs: Sequence[Tuned], weights: Sequence[float] | None = None) -> State:
    """The mean of the states of ``runs``, which have one bundle, by ``weights`` above 0; None for equal ones.

    Raises:
        SeedTuneError: there are more or fewer weights than runs, or one is not above 0; or a run stands there twice.
    """
    _require_several(runs)
    shares = [1.0] * len(runs) if weights is None else list(weights)
    if len(shares) != len(runs) or not all(np.isfinite(share) and share > 0 for share in shares):
        raise SeedTuneError(
            "the weights are not those of the runs",
            value=shares,
            rule=f"{len(runs)} numbers above 0",
            remedy="give one for each run, or leave them out",
        )
    total = np.zeros(len(runs[0].state.values))
    for values in _in_order([run.state for run in runs], shares):
        total += values
    return _rounded(runs, total / np.sum(sorted(shares)))


def _in_order(states: Sequence[State], factors: Sequence[float] | None = None) -> list[Doubles]:
    """Each state times its factor, [n] float64, in an order that only depends on them."""
    every = [1.0] * len(states) if factors is None else factors
    pairs = sorted(zip(states, every, strict=True), key=lambda pair: (pair[0].sha256(), pair[1]))
    return [state.values.astype(np.float64) * factor for state, factor in pairs]


def _rounded(runs: Sequence[Tuned], values: Doubles) -> State:
    state = new_state(runs[0].bundle)
    state.values[:] = values.astype(np.float32)
    return state


def _require_several(runs: Sequence[Tuned]) -> None:
    if len(runs) < 2:
        raise SeedTuneError(
            "there is nothing to combine", value=f"{len(runs)} run", rule="two runs or more", remedy="name another one"
        )
    chains = [(run.journal.checksum, run.step) for run in runs if run.journal is not None]
    if len(set(chains)) < len(runs):
        raise SeedTuneError(
            "one journal stands there twice, so its steps would count twice",
            rule="every run once",
            remedy="name it once; with average, --weights gives it more weight",
        )
