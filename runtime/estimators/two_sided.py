"""The two-sided (central-difference) estimate of a directional derivative: SPSA (Spall 1992), MeZO (arXiv 2305.17333).

    projected gradient  g = (L(state + epsilon z) - L(state - epsilon z)) / (2 epsilon),   z = +-1 from the seed

L is the mean loss over the examples given. Micro-batches only bound memory: per-example losses are collected first
and averaged in float64 in the order of the examples, so how they were split changes no more than kernel rounding.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from seedtune.runtime.batches.types import Batch
from seedtune.runtime.graphs.mapped import Graph

Floats = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Estimate:
    """One probe: float32 mean losses of both sides (as the journal keeps them) and what they imply."""

    loss_plus: float
    loss_minus: float
    projected_gradient: float

    @property
    def loss(self) -> float:
        """Mean of both sides: the loss at the state itself, up to second order in epsilon."""
        return (self.loss_plus + self.loss_minus) / 2


class Estimator(Protocol):
    """Measures the loss along one random direction."""

    def measure(self, state: Floats, seed: int, batches: Iterable[Batch]) -> Estimate:
        """The estimate for ``state`` [n] along the noise of ``seed``, over all rows of ``batches``."""
        ...


def estimate_from(loss_plus: float, loss_minus: float, epsilon: float) -> Estimate:
    """The estimate that two recorded float32 losses stand for; the same when measured and when read back."""
    return Estimate(loss_plus, loss_minus, (loss_plus - loss_minus) / (2 * epsilon))


class TwoSided:
    """:class:`Estimator` over the probe graph."""

    def __init__(self, graph: Graph, epsilon: float) -> None:
        self.graph = graph
        self.epsilon = epsilon

    def measure(self, state: Floats, seed: int, batches: Iterable[Batch]) -> Estimate:
        """See :class:`Estimator`."""
        shared: dict[str, npt.NDArray[Any]] = {
            "state": state,
            "seed": np.array([seed], np.int64),
            "epsilon": np.array([self.epsilon], np.float32),
        }
        places: list[npt.NDArray[np.int64]] = []
        sides: list[Floats] = []
        for index, found in self.graph.run(["loss_plus", "loss_minus"], batches, shared):
            sides.append(np.stack(found))
            places.append(index)
        losses = np.empty((2, sum(map(len, places))), np.float64)
        losses[:, np.concatenate(places)] = np.concatenate(sides, axis=1)
        # One after the other, as any language can add; np.mean would add in an order of its own.
        plus, minus = (np.cumsum(losses, axis=1)[:, -1] / losses.shape[1]).astype(np.float32)
        return estimate_from(float(plus), float(minus), self.epsilon)
