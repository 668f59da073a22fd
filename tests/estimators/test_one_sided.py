"""One-sided differences, over a graph that is a formula and against a real eval graph."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from seedtune.runtime.batches.token_rows import WholeRows
from seedtune.runtime.batches.types import Batch, Work
from seedtune.runtime.bundle.reader import Bundle
from seedtune.runtime.estimators.one_sided import OneSided, OneSidedSettings
from seedtune.runtime.graphs.mapped import MappedGraphs
from seedtune.runtime.model.splits import load_split
from seedtune.runtime.noise import rademacher

SEEDS = [7, 0, 2**32 - 1]
EPSILON = 1e-2


class Parabola:
    """An eval graph whose loss of a row is the square distance of the state from the row."""

    outputs = ("loss",)

    def run(
        self, names: Sequence[str], batches: Iterable[Batch], shared: Mapping[str, np.ndarray]
    ) -> Iterator[tuple[np.ndarray, list[np.ndarray]]]:
        assert list(names) == ["loss"]
        for batch in batches:
            assert batch.arrays["state"].dtype == np.float32
            away = batch.arrays["state"].astype(np.float64) - batch.arrays["x"]
            yield batch.index, [(away**2).sum(axis=1).astype(np.float32)]


ROWS = np.random.default_rng(2).standard_normal((11, 30)).astype(np.float32)


def batches(order: Sequence[int], size: int) -> Iterator[Batch]:
    for first in range(0, len(order), size):
        chosen = np.array(order[first : first + size])
        yield Batch({"x": ROWS[chosen]}, chosen, Work(len(chosen)))


def test_slopes_are_forward_differences_of_the_mean_loss() -> None:
    state = 0.1 * rademacher(5, 30)
    found = OneSided(Parabola(), EPSILON, 3).measure(state, SEEDS, batches(range(11), 4))
    assert found.loss_plus.shape == found.loss_minus.shape == found.projected_gradient.shape == (3, 1)

    def slow(values: np.ndarray) -> float:
        return float(np.mean([((values.astype(np.float64) - row) ** 2).sum() for row in ROWS]))

    assert found.loss == pytest.approx(slow(state), rel=1e-6)
    for k, seed in enumerate(SEEDS):
        z = rademacher(seed, 30)
        assert found.loss_minus[k, 0] == found.loss_minus[0, 0]
        assert found.loss_plus[k, 0] == pytest.approx(slow(state + np.float32(EPSILON) * z), rel=1e-6)
        gradient = 2 * (state - ROWS.astype(np.float64).mean(axis=0)) @ z
        # The error of one side, for a parabola of curvature 2 in 30 parameters.
        assert found.projected_gradient[k, 0] == pytest.approx(gradient + EPSILON * 30, abs=2e-3)


def test_neither_order_nor_size_of_the_batches_changes_a_bit() -> None:
    state = 0.1 * rademacher(5, 30)
    found = [
        OneSided(Parabola(), EPSILON, 3).measure(state, SEEDS, batches(order, size))
        for order in (range(11), range(10, -1, -1))
        for size in (1, 4, 11)
    ]
    for other in found[1:]:
        assert other.loss_plus.tobytes() == found[0].loss_plus.tobytes()
        assert other.loss_minus.tobytes() == found[0].loss_minus.tobytes()


def test_recorded_losses_give_the_estimate_that_was_measured() -> None:
    estimator = OneSided(Parabola(), EPSILON, 3)
    measured = estimator.measure(0.1 * rademacher(5, 30), SEEDS, batches(range(11), 4))
    again = estimator.estimate_from(measured.loss_plus.copy(), measured.loss_minus.copy())
    assert again.projected_gradient.tobytes() == measured.projected_gradient.tobytes()
    assert again.loss == measured.loss


def test_over_a_real_bundle_each_loss_is_the_eval_graphs(tiny_bundle: Path, tiny_data: SimpleNamespace) -> None:
    bundle = Bundle.open(tiny_bundle)
    graphs = MappedGraphs(bundle, 1)
    examples = load_split(tiny_data.train, bundle.compiled_task()).examples[:24]
    feeder = WholeRows(examples, bundle.manifest.language_model.model.padding_id)
    state = 0.05 * rademacher(1, bundle.manifest.state.parameters)
    found = OneSidedSettings(directions=3).build(graphs).measure(state, SEEDS, feeder.batches(range(24), 40))
    for k, seed in enumerate([*SEEDS, None]):
        moved = state if seed is None else state + np.float32(EPSILON) * rademacher(seed, len(state))
        ((_, (losses,)),) = graphs.open("eval").run(["loss"], feeder.batches(range(24), 10**6), {"state": moved})
        measured = found.loss_minus[0, 0] if seed is None else found.loss_plus[k, 0]
        assert measured == pytest.approx(losses.astype(np.float64).mean(), abs=1e-6)
