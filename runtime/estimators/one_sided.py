"""One loss at the state and one along each of K directions: half the passes of K two-sided probes (FZOO, 2506.09034).

    slope_k = (L(state + epsilon z_k) - L(state)) / epsilon,    z_k = +-1 from its seed

FZOO (Fast Zeroth-Order Optimizer, arXiv 2506.09034) takes a batch of such one-sided differences along Rademacher
directions and divides the step by the standard deviation of their losses; that half is `optimizers/standardised.py`.
Each slope has an error of the first order in epsilon, epsilon z^T H z / 2, where two sides have one of the second: it
is much the same for all K and of no direction's making, so it adds noise, no drift.

It runs the eval graph, of which every state is an input: K + 1 passes over the weights. With weights of 8 bits the
rounding of the two losses is not shared as in the probe graph, so two sides measure better there.

In the journal the K records of a step have the loss at the state as their second loss.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from seedtune.runtime.batches.types import Batch
from seedtune.runtime.estimators.along_noise import AlongDirections
from seedtune.runtime.estimators.protocol import Estimate, Floats
from seedtune.runtime.estimators.rows import at_states, in_order, mean_of_rows
from seedtune.runtime.graphs.types import Graph, Graphs
from seedtune.runtime.noise import rademacher


class OneSidedSettings(AlongDirections, frozen=True, forbid_unknown_fields=True, tag_field="kind", tag="one_sided"):
    """Settings of :class:`OneSided`; 8 directions are FZOO's."""

    @property
    def passes_a_row(self) -> int:
        """Example passes of a step for each of its rows: one at the state, one along each direction."""
        return self.directions + 1

    def build(self, graphs: Graphs) -> OneSided:
        """The estimator over the eval graph."""
        return OneSided(graphs.open("eval"), self.epsilon, self.directions)


class OneSided:
    """:class:`~seedtune.runtime.estimators.protocol.Estimator` over the eval graph, of one state."""

    def __init__(self, graph: Graph, epsilon: float, directions: int) -> None:
        self.graph = graph
        self.epsilon = epsilon
        self.probes = directions

    @property
    def passes_a_row(self) -> int:
        """See :class:`~seedtune.runtime.estimators.protocol.Estimator`."""
        return self.probes + 1

    def measure(self, state: Floats, seeds: Sequence[int], batches: Iterable[Batch]) -> Estimate:
        """See :class:`~seedtune.runtime.estimators.protocol.Estimator`."""
        if state.ndim != 1 or len(seeds) != self.probes:
            raise ValueError(f"one state and {self.probes} seeds: {state.shape}, {len(seeds)}")
        places: list[npt.NDArray[np.int64]] = []
        parts: list[Floats] = []
        batches = at_states(batches, _States(state, self.epsilon, seeds))
        for call, (index, (losses,)) in enumerate(self.graph.run(["loss"], batches, {})):
            which = call % self.passes_a_row
            if which == 0:
                places.append(index)
                parts.append(np.empty((self.passes_a_row, len(index)), np.float32))
            parts[-1][which] = losses
        means = mean_of_rows(in_order(places, parts)).astype(np.float32)
        return self.estimate_from(means[1:], np.repeat(means[:1], self.probes, axis=0))

    def estimate_from(self, loss_plus: Floats, loss_minus: Floats) -> Estimate:
        """See :class:`~seedtune.runtime.estimators.protocol.Estimator`."""
        slopes = (loss_plus.astype(np.float64) - loss_minus.astype(np.float64)) / self.epsilon
        return Estimate(loss_plus, loss_minus, slopes, sides=1)


@dataclass(frozen=True)
class _States:
    """The state, and one side of it along each seed's noise, made anew whenever they are iterated: one at a time."""

    state: Floats
    epsilon: float
    seeds: Sequence[int]

    def __iter__(self) -> Iterator[Floats]:
        yield self.state
        for seed in self.seeds:
            yield self.state + np.float32(self.epsilon) * rademacher(seed, len(self.state))
