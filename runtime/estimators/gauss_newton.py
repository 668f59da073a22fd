"""Gauss-Newton in a random subspace, from the differences that each example's scores make along K directions.

    slopes_ik = (scores_i(state + epsilon z_k) - scores_i(state - epsilon z_k)) / (2 epsilon),   z_k = +-1 from its seed
    c = argmin  sum_i NLL(base_i + sum_k c_k slopes_ik) + penalty / 2 |c|^2,    base = mean of both sides over k
    state <- state + t sum_k c_k z_k,   t = the one of LENGTHS at which the rows' loss is least; 0 if none lowers it

A two-sided probe keeps one number of its rows, the mean of their losses; here every example gives its own, and the step
is solved for rather than followed. Derivative-free Gauss-Newton: Cartis and Roberts 2019 (arXiv 1710.11005, DFO-GN,
behind DFO-LS); in random subspaces: Cartis and Roberts 2021 (arXiv 2102.12016, DFBGN). Theirs is a sum of squares; the
loss here is not, so the linearised scores go into the loss itself (`differences.py`). Where theirs keep the step within
a radius of trust, this one tries a few lengths of it: a step moves every parameter many epsilons, farther than scores
are linear (SmolLM2, 32 directions: half of it was better than the whole in both first steps; epsilon 0.01 and 0.1 gave
the same).

Measured in PyTorch before this was written (SmolLM2-135M, SST-2, ten layers at the last token, 64 directions and 512
rows a step): held-out loss 0.366, 0.331, 0.326, 0.321 after one to four steps of 65,536 example passes each; 1,500
two-sided steps of 32 rows (96,000 passes) reached 0.337 to 0.343. What it comes to here: ``python scripts/bench
estimators``.

Memory: K (L - 1) numbers a row and a few copies of them; the graph holds one batch at a time.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from seedtune.runtime.batches.types import Batch
from seedtune.runtime.bundle.stage_plan import PROBE
from seedtune.runtime.errors import SeedTuneError
from seedtune.runtime.estimators.along_noise import AlongDirections
from seedtune.runtime.estimators.differences import Differences, relative, solve
from seedtune.runtime.estimators.protocol import Directions, Doubles, Estimate, Floats
from seedtune.runtime.estimators.rows import at_states, in_order, mean_of_rows
from seedtune.runtime.estimators.scores import SCORES, require_scores
from seedtune.runtime.graphs.types import Graph, Graphs
from seedtune.runtime.noise import derive_seed, rademacher
from seedtune.runtime.start.newton import losses_of

# Parts of a solution that are tried; the short ones are for models that bend early, a guess.
LENGTHS = (1.0, 0.5, 0.25, 0.0625, 0.015625)


class GaussNewtonSettings(
    AlongDirections, frozen=True, forbid_unknown_fields=True, tag_field="kind", tag="gauss_newton"
):
    """Settings of :class:`GaussNewton`."""

    directions: Directions = 64

    @property
    def passes_a_row(self) -> int:
        """Example passes of a step for each of its rows: both sides along each direction, and the lengths."""
        return 2 * self.directions + len(LENGTHS)

    def build(self, graphs: Graphs) -> GaussNewton:
        """The estimator over the probe graph and the eval graph.

        Raises:
            SeedTuneError: the probe graph gives no scores: the task is completion, or the bundle is an older one.
        """
        graph = graphs.open(PROBE)
        require_scores(graph, graphs.bundle, "--estimator gauss-newton")
        return GaussNewton(graph, graphs.open("eval"), self.epsilon, self.directions)


class GaussNewton:
    """:class:`~seedtune.runtime.estimators.protocol.Estimator` over both graphs, of one state."""

    def __init__(self, graph: Graph, eval_graph: Graph, epsilon: float, directions: int) -> None:
        self.graph = graph
        self.eval_graph = eval_graph
        self.epsilon = epsilon
        self.probes = directions

    @property
    def passes_a_row(self) -> int:
        """See :class:`~seedtune.runtime.estimators.protocol.Estimator`."""
        return 2 * self.probes + len(LENGTHS)

    def measure(self, state: Floats, seeds: Sequence[int], batches: Iterable[Batch]) -> Estimate:
        """See :class:`~seedtune.runtime.estimators.protocol.Estimator`.

        Raises:
            SeedTuneError: fewer than two rows, from which no strength can be chosen.
        """
        if state.ndim != 1 or len(seeds) != self.probes:
            raise ValueError(f"one state and {self.probes} seeds: {state.shape}, {len(seeds)}")
        labels: list[npt.NDArray[np.int64]] = []
        parts: list[_Part] = []
        shared: dict[str, npt.NDArray[Any]] = {"epsilon": np.array([self.epsilon], np.float32), "state": state}
        along = _along(batches, seeds, labels)
        for call, (index, found) in enumerate(self.graph.run(["loss_plus", "loss_minus", *SCORES], along, shared)):
            direction = call % self.probes
            if direction == 0:
                parts.append(_Part.empty(index, self.probes, found[2].shape[1]))
            parts[-1].put(direction, found, self.epsilon)
        places = [part.index for part in parts]
        plus, minus = mean_of_rows(in_order(places, [part.losses for part in parts])).astype(np.float32)
        rows = Differences(
            in_order(places, [part.base.T for part in parts]).T / self.probes,
            np.moveaxis(in_order(places, [np.moveaxis(part.slopes, 0, 2) for part in parts]), 2, 0),
            in_order(places, labels),
        )
        if len(rows.labels) < 2:
            raise SeedTuneError(
                "a step of one row tells nothing of how far to go",
                value=f"{len(rows.labels)} row",
                rule="--estimator gauss-newton with at least two rows a step, hundreds rather",
                remedy="choose a larger --batch-size",
            )
        estimate = self.estimate_from(plus, minus)
        if not (np.isfinite(plus).all() and np.isfinite(minus).all() and np.isfinite(rows.slopes).all()):
            # For the loop to refuse.
            return dataclasses.replace(estimate, solution=np.zeros_like(estimate.projected_gradient))
        solution = solve(rows, derive_seed(seeds[0], "gauss_newton_folds"))
        before = float(losses_of(rows.scores(np.zeros(self.probes)), rows.labels).mean())
        solution *= self._length(state, solution, seeds, batches, before)
        return dataclasses.replace(estimate, solution=solution[:, None])

    def _length(
        self, state: Floats, solution: Doubles, seeds: Sequence[int], batches: Iterable[Batch], before: float
    ) -> float:
        """How much of the solution to take: where the mean loss of the rows is least, of ``before`` without a step."""
        step = np.zeros(len(state))
        for seed, coefficient in zip(seeds, solution, strict=True):
            step += coefficient * rademacher(seed, len(state))
        states = [(state + length * step).astype(np.float32) for length in LENGTHS]
        totals, rows = np.zeros(len(LENGTHS)), 0
        for call, (index, (losses,)) in enumerate(self.eval_graph.run(["loss"], at_states(batches, states), {})):
            totals[call % len(LENGTHS)] += losses.astype(np.float64).sum()
            rows += len(index)
        losses_at = totals / (rows / len(LENGTHS))
        best = int(np.where(np.isfinite(losses_at), losses_at, np.inf).argmin())
        return LENGTHS[best] if losses_at[best] < before else 0.0

    def estimate_from(self, loss_plus: Floats, loss_minus: Floats) -> Estimate:
        """See :class:`~seedtune.runtime.estimators.protocol.Estimator`; without the solution, which needs the rows."""
        slopes = (loss_plus.astype(np.float64) - loss_minus.astype(np.float64)) / (2 * self.epsilon)
        return Estimate(loss_plus, loss_minus, slopes)


@dataclass(frozen=True)
class _Part:
    """What K calls say of a batch: losses [2, K, B], the sum of bases [B, L - 1] and slopes [B, L - 1, K]."""

    index: npt.NDArray[np.int64]
    losses: Floats
    base: Doubles
    slopes: Doubles

    @classmethod
    def empty(cls, index: npt.NDArray[np.int64], directions: int, labels: int) -> _Part:
        shape = (len(index), labels - 1)
        losses = np.empty((2, directions, len(index)), np.float32)
        return cls(index, losses, np.zeros(shape), np.empty((*shape, directions)))

    def put(self, direction: int, found: Sequence[npt.NDArray[Any]], epsilon: float) -> None:
        self.losses[:, direction] = found[:2]
        plus, minus = (relative(side.astype(np.float64)) for side in found[2:])
        self.base[...] += (plus + minus) / 2
        self.slopes[..., direction] = (plus - minus) / (2 * epsilon)


def _along(batches: Iterable[Batch], seeds: Sequence[int], labels: list[npt.NDArray[np.int64]]) -> Iterator[Batch]:
    """Each batch once for each seed, before the next one; its labels are added to ``labels``."""
    for batch in batches:
        labels.append(batch.arrays["label"])
        for seed in seeds:
            yield dataclasses.replace(batch, arrays={**batch.arrays, "seed": np.array([seed], np.int64)})
        del batch
