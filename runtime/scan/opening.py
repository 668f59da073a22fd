"""The opening of a search: far probes of the untouched picture, of which the best side is where descent starts.

A curve that fools is often far from the identity, behind curves that fool less, so descent alone ends early: on a net
that was trained adversarially it found half of what random curves find (docs/guides/scan.md). The probes are the
journal's own: ``+-1`` noise of each step's seed, at the distance ``reach``, with the coefficient 0.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from seedtune.runtime.estimators.protocol import Doubles, Floats
from seedtune.runtime.graphs.state import State
from seedtune.runtime.journal.records import Record
from seedtune.runtime.noise import rademacher
from seedtune.runtime.optimizers.protocol import Optimizer


class Still(Optimizer):
    """Moves nothing."""

    def rate(self, step: int) -> float:
        """0."""
        return 0.0

    def coefficients(self, step: int, proposal: Doubles) -> Floats:
        """Zeros, as many as ``proposal`` [K, G] has numbers."""
        return np.zeros(proposal.shape, np.float32)

    def move(self, state: State, seeds: Sequence[int] | npt.NDArray[np.uint32], coefficients: Floats) -> None:
        """Leaves ``state`` as it is."""


class Opening:
    """The best side so far of each of G pictures; the earlier one, and plus, where losses are equal."""

    def __init__(self, groups: int) -> None:
        self._loss = np.full(groups, np.inf, np.float32)
        self._seed = np.zeros(groups, np.int64)
        self._side = np.zeros(groups, np.float32)

    def see(self, seed: int, record: Record) -> None:
        """Takes note of the probe along the noise of ``seed``."""
        for side, losses in ((1, record.loss_plus), (-1, record.loss_minus)):
            better = losses < self._loss
            self._loss[better], self._seed[better], self._side[better] = losses[better], seed, side

    def starts(self, parameters: int, reach: float) -> Floats:
        """[G, n] ``reach`` times the noise of the best probe, on its side; zero for who was never probed."""
        states = np.zeros((len(self._loss), parameters), np.float32)
        for seed in np.unique(self._seed[self._side != 0]).tolist():
            of_seed = (self._seed == seed) & (self._side != 0)
            states[of_seed] = self._side[of_seed, None] * (rademacher(seed, parameters) * np.float32(reach))
        return states
