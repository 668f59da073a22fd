"""The two-sided (central-difference) estimate of a directional derivative: SPSA (Spall 1992), MeZO (arXiv 2305.17333).

    projected gradient  g = (L(state + epsilon z) - L(state - epsilon z)) / (2 epsilon),   z = +-1 from the seed

L is the mean loss over the rows given, or each row's own where there is a state a row; or another objective of the rows
together (`objectives.py`), which needs no gradient. Micro-batches only bound memory: what rows give is collected first
and averaged in float64 in the order of the rows, so how they were split changes no more than kernel rounding.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from seedtune.runtime.batches.types import Batch
from seedtune.runtime.bundle.stage_plan import PROBE
from seedtune.runtime.estimators.along_noise import AlongNoise
from seedtune.runtime.estimators.objectives import Objective, ObjectiveOption, without_gradient
from seedtune.runtime.estimators.protocol import Doubles, Epsilon, Estimate, Floats
from seedtune.runtime.estimators.rows import in_order, mean_of_rows
from seedtune.runtime.estimators.scores import SCORES, require_scores
from seedtune.runtime.graphs.types import Graph, Graphs


class TwoSidedSettings(AlongNoise, frozen=True, forbid_unknown_fields=True, tag_field="kind", tag="two_sided"):
    """Settings of :class:`TwoSided`."""

    epsilon: Epsilon = 1e-2
    objective: ObjectiveOption = "loss"

    @property
    def probes(self) -> int:
        """K, the seeds of a step."""
        return TwoSided.probes

    @property
    def passes_a_row(self) -> int:
        """Example passes of a step for each of its rows: one a side."""
        return 2 * TwoSided.probes

    def build(self, graphs: Graphs) -> TwoSided:
        """The estimator over the probe graph.

        Raises:
            SeedTuneError: another objective than the loss, and the probe graph gives no scores.
        """
        graph = graphs.open(PROBE)
        if self.objective != "loss":
            require_scores(graph, graphs.bundle, f"--objective {self.objective}")
        return TwoSided(graph, self.epsilon, self.objective)


class TwoSided:
    """:class:`~seedtune.runtime.estimators.protocol.Estimator` over the probe graph."""

    probes = 1
    passes_a_row = 2

    def __init__(self, graph: Graph, epsilon: float, objective: Objective = "loss") -> None:
        self.graph = graph
        self.epsilon = epsilon
        self.objective = objective

    def measure(self, state: Floats, seeds: Sequence[int], batches: Iterable[Batch]) -> Estimate:
        """See :class:`~seedtune.runtime.estimators.protocol.Estimator`; what is measured is the objective."""
        (seed,) = seeds
        shared: dict[str, npt.NDArray[Any]] = {
            "seed": np.array([seed], np.int64),
            "epsilon": np.array([self.epsilon], np.float32),
        }
        grouped = state.ndim == 2
        if grouped:
            if self.objective != "loss":
                raise ValueError(f"a state a row has a loss a row, no {self.objective}")
            batches = _with_states(batches, state)
        else:
            shared["state"] = state
        if self.objective == "loss":
            losses = self._losses(batches, shared)
            plus, minus = (losses if grouped else mean_of_rows(losses)).astype(np.float32)
        else:
            plus, minus = self._without_gradient(batches, shared).astype(np.float32)
        return self.estimate_from(plus[None], minus[None])

    def estimate_from(self, loss_plus: Floats, loss_minus: Floats) -> Estimate:
        """See :class:`~seedtune.runtime.estimators.protocol.Estimator`."""
        gradient = (loss_plus.astype(np.float64) - loss_minus.astype(np.float64)) / (2 * self.epsilon)
        return Estimate(loss_plus, loss_minus, gradient)

    def _losses(self, batches: Iterable[Batch], shared: dict[str, npt.NDArray[Any]]) -> npt.NDArray[Any]:
        """Losses of both sides in the order of the rows, [2, rows]."""
        places: list[npt.NDArray[np.int64]] = []
        sides: list[Floats] = []
        for index, found in self.graph.run(["loss_plus", "loss_minus"], batches, shared):
            sides.append(np.stack(found))
            places.append(index)
        return in_order(places, sides)

    def _without_gradient(self, batches: Iterable[Batch], shared: dict[str, npt.NDArray[Any]]) -> Doubles:
        """The objective of the rows at both sides, [2, 1]; not finite where a score is not."""
        labels: list[npt.NDArray[np.int64]] = []
        sides: tuple[list[Floats], list[Floats]] = ([], [])
        for _, found in self.graph.run(SCORES, _noting_labels(batches, labels), shared):
            for side, scores in zip(sides, found, strict=True):
                side.append(scores)
        truth = np.concatenate(labels)
        found_sides = [np.concatenate(side) for side in sides]
        assert self.objective != "loss"
        return np.array(
            [
                [without_gradient(self.objective, side, truth) if np.isfinite(side).all() else np.nan]
                for side in found_sides
            ]
        )


def _with_states(batches: Iterable[Batch], state: Floats) -> Iterator[Batch]:
    """Gives each row of a batch its own state."""
    for batch in batches:
        yield dataclasses.replace(batch, arrays={**batch.arrays, "state": state[batch.index]})
        del batch


def _noting_labels(batches: Iterable[Batch], labels: list[npt.NDArray[np.int64]]) -> Iterator[Batch]:
    """Passes ``batches`` on, and adds the labels that they carry to ``labels``."""
    for batch in batches:
        labels.append(batch.arrays["label"])
        yield batch
        del batch
