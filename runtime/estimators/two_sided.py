"""The two-sided (central-difference) estimate of a directional derivative: SPSA (Spall 1992), MeZO (arXiv 2305.17333).

    projected gradient  g = (L(state + epsilon z) - L(state - epsilon z)) / (2 epsilon),   z = +-1 from the seed

L is the mean loss over the rows given, or each row's own where there is a state a row. Micro-batches only bound memory:
losses of rows are collected first and averaged in float64 in the order of the rows, so how they were split changes no
more than kernel rounding.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator, Sequence
from typing import Annotated, Any, Literal

import msgspec
import numpy as np
import numpy.typing as npt
from msgspec import Meta

from seedtune.runtime.batches.types import Batch
from seedtune.runtime.estimators.protocol import Doubles, Estimate, Floats
from seedtune.runtime.graphs.types import Graph, Graphs


class TwoSidedSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="kind", tag="two_sided"):
    """Settings of :class:`TwoSided`."""

    epsilon: Annotated[float, Meta(gt=0, description="Half the distance between the two sides of a probe.")] = 1e-2

    @property
    def probes(self) -> int:
        """K, the seeds of a step."""
        return TwoSided.probes

    @property
    def passes_a_row(self) -> int:
        """Example passes of a step for each of its rows: one a side."""
        return 2 * TwoSided.probes

    @property
    def record(self) -> Literal["probe"]:
        """What the journal records of a step."""
        return "probe"

    def build(self, graphs: Graphs) -> TwoSided:
        """The estimator over the probe graph."""
        return TwoSided(graphs.open("probe"), self.epsilon)


class TwoSided:
    """:class:`~seedtune.runtime.estimators.protocol.Estimator` over the probe graph."""

    probes = 1

    def __init__(self, graph: Graph, epsilon: float) -> None:
        self.graph = graph
        self.epsilon = epsilon

    def measure(self, state: Floats, seeds: Sequence[int], batches: Iterable[Batch]) -> Estimate:
        """See :class:`~seedtune.runtime.estimators.protocol.Estimator`."""
        (seed,) = seeds
        shared: dict[str, npt.NDArray[Any]] = {
            "seed": np.array([seed], np.int64),
            "epsilon": np.array([self.epsilon], np.float32),
        }
        grouped = state.ndim == 2
        if grouped:
            batches = _with_states(batches, state)
        else:
            shared["state"] = state
        losses = self._losses(batches, shared)
        if not grouped:
            # One after the other, as any language can add; np.mean would add in an order of its own.
            losses = np.cumsum(losses, axis=1)[:, -1:] / losses.shape[1]
        plus, minus = losses.astype(np.float32)
        return self.estimate_from(plus[None], minus[None])

    def estimate_from(self, loss_plus: Floats, loss_minus: Floats) -> Estimate:
        """See :class:`~seedtune.runtime.estimators.protocol.Estimator`."""
        gradient = (loss_plus.astype(np.float64) - loss_minus.astype(np.float64)) / (2 * self.epsilon)
        return Estimate(loss_plus, loss_minus, gradient)

    def _losses(self, batches: Iterable[Batch], shared: dict[str, npt.NDArray[Any]]) -> Doubles:
        """Losses of both sides in the order of the rows, [2, rows]."""
        places: list[npt.NDArray[np.int64]] = []
        sides: list[Floats] = []
        for index, found in self.graph.run(["loss_plus", "loss_minus"], batches, shared):
            sides.append(np.stack(found))
            places.append(index)
        losses = np.empty((2, sum(map(len, places))), np.float64)
        losses[:, np.concatenate(places)] = np.concatenate(sides, axis=1)
        return losses


def _with_states(batches: Iterable[Batch], state: Floats) -> Iterator[Batch]:
    """Gives each row of a batch its own state."""
    for batch in batches:
        yield dataclasses.replace(batch, arrays={**batch.arrays, "state": state[batch.index]})
        del batch
