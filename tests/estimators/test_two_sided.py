"""The two-sided estimate against the plain loop over rows that it stands for, with one state and with a state a row."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from seedtune.runtime.batches.token_rows import WholeRows
from seedtune.runtime.bundle.reader import Bundle
from seedtune.runtime.estimators.two_sided import TwoSided
from seedtune.runtime.graphs.mapped import MappedGraphs
from seedtune.runtime.model.splits import load_split
from seedtune.runtime.noise import rademacher

EPSILON = 1e-2
ORDERS = [list(range(15)), list(range(14, -1, -1)), [3, 14, 0, 7, 1, 13, 2, 5, 4, 12, 6, 11, 8, 10, 9]]


def slow_losses(state: np.ndarray, features: np.ndarray, seed: int) -> list[list[np.float32]]:
    """Losses of every row at both sides, [2][rows]: of one state, or of each row's own."""
    sides = []
    for sign in (1, -1):
        side = []
        for place in range(len(features)):
            values = state if state.ndim == 1 else state[place]
            moved = values + np.float32(sign) * np.float32(EPSILON) * rademacher(seed, len(values))
            score = sum(float(a) * float(b) for a, b in zip(features[place], moved, strict=True))
            side.append(np.float32(np.log1p(np.exp(-score)) + 0.1 * score * score))
        sides.append(side)
    return sides


def slow_mean(losses: list[np.float32]) -> np.float32:
    total = 0.0
    for loss in losses:
        total += float(loss)
    return np.float32(total / len(losses))


@pytest.mark.parametrize("seed", [0, 1, 2**32 - 1])
def test_one_state_has_the_mean_loss_of_the_rows(graph, features: np.ndarray, batches_of: Callable, seed: int) -> None:
    state = 0.05 * rademacher(4, features.shape[1])
    found = TwoSided(graph, EPSILON).measure(state, [seed], batches_of(ORDERS[0], 4))
    plus, minus = map(slow_mean, slow_losses(state, features, seed))
    assert found.loss_plus.shape == found.loss_minus.shape == found.projected_gradient.shape == (1, 1)
    assert (found.loss_plus.dtype, found.projected_gradient.dtype) == (np.float32, np.float64)
    assert found.loss_plus.item() == pytest.approx(plus, rel=1e-6)
    assert found.loss_minus.item() == pytest.approx(minus, rel=1e-6)
    assert found.projected_gradient.item() == pytest.approx((float(plus) - float(minus)) / (2 * EPSILON), rel=1e-4)
    assert found.loss == pytest.approx((float(plus) + float(minus)) / 2, rel=1e-6)


@pytest.mark.parametrize("seed", [0, 1, 2**32 - 1])
def test_a_state_a_row_has_the_loss_of_each_row(graph, features: np.ndarray, batches_of: Callable, seed: int) -> None:
    state = np.random.default_rng(1).normal(size=features.shape).astype(np.float32)
    found = TwoSided(graph, EPSILON).measure(state, [seed], batches_of(ORDERS[2], 4))
    plus, minus = slow_losses(state, features, seed)
    assert found.loss_plus.shape == found.projected_gradient.shape == (1, 15)
    np.testing.assert_allclose(found.loss_plus[0], plus, rtol=1e-6)
    np.testing.assert_allclose(found.loss_minus[0], minus, rtol=1e-6)
    gradient = [(float(a) - float(b)) / (2 * EPSILON) for a, b in zip(plus, minus, strict=True)]
    np.testing.assert_allclose(found.projected_gradient[0], gradient, rtol=1e-4, atol=1e-4)
    assert found.loss == pytest.approx(np.mean([plus, minus]), rel=1e-6)


@pytest.mark.parametrize("grouped", [False, True])
def test_neither_order_nor_size_of_the_batches_changes_a_bit_where_rows_are_computed_alone(
    graph, features: np.ndarray, batches_of: Callable, grouped: bool
) -> None:
    """The graph here computes rows one by one, so that no kernel rounds otherwise for another company."""
    state = np.random.default_rng(2).normal(size=features.shape).astype(np.float32)
    state = state if grouped else state[0]
    found = [
        TwoSided(graph, EPSILON).measure(state, [9], batches_of(order, size)) for order in ORDERS for size in (1, 4, 15)
    ]
    for other in found[1:]:
        assert other.loss_plus.tobytes() == found[0].loss_plus.tobytes()
        assert other.loss_minus.tobytes() == found[0].loss_minus.tobytes()
        assert other.projected_gradient.tobytes() == found[0].projected_gradient.tobytes()
    assert {1, 4, 15} <= set(graph.calls)


def test_the_mean_adds_in_the_order_of_the_rows(graph, features: np.ndarray, batches_of: Callable) -> None:
    """To the bit, as any language can do it again."""
    state = np.zeros(features.shape[1], np.float32)
    shared = {"seed": np.array([3]), "epsilon": np.array([EPSILON], np.float32), "state": state}
    ((_, sides),) = graph.run(["loss_plus", "loss_minus"], batches_of(ORDERS[0], 15), shared)
    found = TwoSided(graph, EPSILON).measure(state, [3], batches_of(ORDERS[1], 2))
    assert found.loss_plus.item() == slow_mean(list(sides[0]))
    assert found.loss_minus.item() == slow_mean(list(sides[1]))


def test_recorded_losses_give_the_estimate_that_was_measured(graph, features: np.ndarray, batches_of: Callable) -> None:
    estimator = TwoSided(graph, EPSILON)
    measured = estimator.measure(0.1 * rademacher(2, features.shape[1]), [5], batches_of(ORDERS[0], 4))
    again = estimator.estimate_from(measured.loss_plus.copy(), measured.loss_minus.copy())
    assert again.projected_gradient.tobytes() == measured.projected_gradient.tobytes()


def test_the_slope_is_the_derivative_along_the_noise(graph, features: np.ndarray, batches_of: Callable) -> None:
    """By the chain rule, which the estimator does not know."""
    state = (np.random.default_rng(3).normal(size=features.shape[1:]) / 4).astype(np.float32)
    scores = features.astype(np.float64) @ state
    slopes = -1 / (1 + np.exp(scores)) + 0.2 * scores
    for seed in range(5):
        found = TwoSided(graph, 1e-3).measure(state, [seed], batches_of(ORDERS[0], 15))
        exact = np.mean(slopes * (features.astype(np.float64) @ rademacher(seed, features.shape[1])))
        assert found.projected_gradient.item() == pytest.approx(exact, rel=2e-2, abs=2e-2)


@pytest.mark.parametrize("seeds", [[], [1, 2]])
def test_it_makes_one_probe_a_step_and_refuses_another_number(
    graph, features: np.ndarray, batches_of: Callable, seeds: list[int]
) -> None:
    estimator = TwoSided(graph, EPSILON)
    assert estimator.probes == 1
    with pytest.raises(ValueError, match="values to unpack"):
        estimator.measure(np.zeros(features.shape[1], np.float32), seeds, batches_of(ORDERS[0], 4))


def test_micro_batches_change_the_projected_gradient_of_a_real_graph_by_rounding_only(
    tiny_bundle: Path, tiny_data: SimpleNamespace
) -> None:
    bundle = Bundle.open(tiny_bundle)
    rows = load_split(tiny_data.train, bundle.compiled_task()).examples[:24]
    feeder = WholeRows(rows, bundle.manifest.language_model.model.padding_id)
    state = 0.05 * rademacher(1, bundle.manifest.state.parameters)
    estimator = TwoSided(MappedGraphs(bundle, 1).open("probe"), EPSILON)
    compared = 0
    for seed in range(12):
        whole = estimator.measure(state, [seed], feeder.batches(range(24), 10**6))
        batches = list(feeder.batches(range(24), 20))
        assert len(batches) > 6
        parts = estimator.measure(state, [seed], batches)
        assert parts.loss == pytest.approx(whole.loss, rel=1e-5)
        # A float32 loss has 24 bits: the difference of two cannot be surer than an ulp over its own size.
        ulp = 2.0**-23 * whole.loss / 0.02
        slope, other = whole.projected_gradient.item(), parts.projected_gradient.item()
        assert abs(other - slope) <= 1e-4 * abs(slope) + 2 * ulp
        compared += abs(slope) > 100 * ulp
    assert compared >= 8
