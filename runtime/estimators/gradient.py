"""The exact gradient of the mean loss, from the gradient graph: for a reach whose activations fit into memory.

    gradient = (1 / rows) sum over rows of d loss / d state

The graph returns sums over the rows of a call; they are added in float64 in the order of the calls, as losses are in
the order of the rows within them, so how rows were split changes no more than kernel rounding. Every sum is made one
number after the other, as any language can; numpy's own would be made in an order of its own.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

import msgspec
import numpy as np

from seedtune.runtime.batches.types import Batch
from seedtune.runtime.bundle.reader import Bundle
from seedtune.runtime.bundle.stage_plan import GRADIENT
from seedtune.runtime.errors import SeedTuneError
from seedtune.runtime.estimators.protocol import Floats
from seedtune.runtime.graphs.types import Graph, Graphs

# Values whose squares are added at once.
AT_ONCE = 1 << 16


class GradientSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="kind", tag="gradient"):
    """Settings of :class:`Gradient`: there are none."""

    @property
    def graph(self) -> str:
        """The graph that it runs."""
        return GRADIENT

    @property
    def vectors(self) -> int:
        """As long as the state, that a step takes: sums in float64 and the gradient, or twice what is being kept."""
        return 6

    @property
    def probes(self) -> int:
        """Records of a step in the journal."""
        return 1

    @property
    def passes_a_row(self) -> int:
        """Example passes of a step for each of its rows: forward and backward count as one."""
        return 1

    @property
    def record(self) -> Literal["gradient"]:
        """What the journal records of a step."""
        return "gradient"

    def require_graph(self, bundle: Bundle) -> None:
        """Raises SeedTuneError where ``bundle`` has no gradient graph."""
        manifest = bundle.manifest
        if GRADIENT not in manifest.graphs:
            raise SeedTuneError(
                "the bundle has no gradient graph",
                file=bundle.path,
                value=manifest.objective.summary,
                rule="--estimator gradient needs a bundle of scope suffix or last, whose operators all have a gradient",
                remedy="export with --scope last, or use --estimator two-sided",
            )

    def build(self, graphs: Graphs) -> Gradient:
        """The estimator over the gradient graph.

        Raises:
            SeedTuneError: as :meth:`require_graph`.
        """
        self.require_graph(graphs.bundle)
        return Gradient(graphs.open(GRADIENT))


@dataclass(frozen=True, eq=False)
class Descent:
    """What one step measured.

    Attributes:
        loss: mean loss of the rows at the state, in nats.
        gradient: [n] float32, of that mean.
    """

    loss: float
    gradient: Floats

    @property
    def norm(self) -> float:
        """Euclidean; squares are added in float64, one after the other."""
        total = 0.0
        for first in range(0, len(self.gradient), AT_ONCE):
            squares = self.gradient[first : first + AT_ONCE].astype(np.float64)
            squares *= squares
            squares[0] += total
            total = float(np.cumsum(squares)[-1])
        return math.sqrt(total)


class Gradient:
    """Measures the loss and its gradient."""

    def __init__(self, graph: Graph) -> None:
        self.graph = graph

    def measure(self, state: Floats, batches: Iterable[Batch]) -> Descent:
        """Over all rows of ``batches``, at ``state`` [n]; at least one row."""
        total = np.zeros(len(state), np.float64)
        loss, rows = 0.0, 0
        for index, (losses, gradient) in self.graph.run(["loss", "gradient"], batches, {"state": state}):
            for of_row in losses.tolist():
                loss += of_row
            total += gradient
            rows += len(index)
        total /= rows
        return Descent(loss / rows, total.astype(np.float32))
