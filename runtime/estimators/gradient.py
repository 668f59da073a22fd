"""The exact gradient of the mean loss, from the gradient graph: for a reach whose activations fit into memory.

    gradient = (1 / rows) sum over rows of d loss / d state

The graph returns sums over the rows of a call; they are added in float64 in the order of the calls, so how rows were
split changes no more than kernel rounding.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

import msgspec
import numpy as np

from seedtune.runtime.batches.types import Batch
from seedtune.runtime.errors import SeedTuneError
from seedtune.runtime.estimators.protocol import Floats
from seedtune.runtime.graphs.types import Graph, Graphs

GRAPH = "gradient"


class GradientSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="kind", tag="gradient"):
    """Settings of :class:`Gradient`: there are none."""

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

    def build(self, graphs: Graphs) -> Gradient:
        """The estimator over the gradient graph.

        Raises:
            SeedTuneError: the bundle has none.
        """
        manifest = graphs.bundle.manifest
        if GRAPH not in manifest.graphs:
            raise SeedTuneError(
                "the bundle has no gradient graph",
                file=graphs.bundle.path,
                value=f"scope {manifest.objective.scope}, {manifest.objective.model.architecture}",
                rule="--estimator gradient needs a bundle of scope suffix or last, whose operators all have a gradient",
                remedy="export with --scope last, or use --estimator two-sided",
            )
        return Gradient(graphs.open(GRAPH))


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
        """Euclidean, in float64."""
        return float(np.sqrt(np.sum(self.gradient.astype(np.float64) ** 2)))


class Gradient:
    """Measures the loss and its gradient."""

    def __init__(self, graph: Graph) -> None:
        self.graph = graph

    def measure(self, state: Floats, batches: Iterable[Batch]) -> Descent:
        """Over all rows of ``batches``, at ``state`` [n]; at least one row."""
        total = np.zeros(len(state), np.float64)
        loss, rows = 0.0, 0
        for index, (losses, gradient) in self.graph.run(["loss", "gradient"], batches, {"state": state}):
            loss += float(losses.astype(np.float64).sum())
            total += gradient
            rows += len(index)
        total /= rows
        return Descent(loss / rows, total.astype(np.float32))
