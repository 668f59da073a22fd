"""Objectives without a gradient against scikit-learn's, and what a two-sided probe makes of them."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence

import numpy as np
import pytest

from seedtune.runtime.batches.types import Batch, Work
from seedtune.runtime.estimators.objectives import Objective, row_values, without_gradient
from seedtune.runtime.estimators.scores import SCORES
from seedtune.runtime.estimators.two_sided import TwoSided
from seedtune.runtime.noise import rademacher

metrics = pytest.importorskip("sklearn.metrics")


@pytest.mark.parametrize("labels", [2, 3, 7])
@pytest.mark.parametrize("rows", [1, 5, 64])
def test_they_are_scikit_learns(labels: int, rows: int) -> None:
    generator = np.random.default_rng(10 * labels + rows)
    scores = generator.standard_normal((rows, labels)).astype(np.float32)
    truth = generator.integers(0, labels, rows)
    predictions = scores.argmax(axis=1)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        f1 = metrics.f1_score(truth, predictions, labels=range(labels), average="macro", zero_division=1.0)
    assert without_gradient("f1", scores, truth) == pytest.approx(1 - f1)
    assert without_gradient("accuracy", scores, truth) == pytest.approx(1 - metrics.accuracy_score(truth, predictions))


@pytest.mark.parametrize("labels", [2, 4])
@pytest.mark.parametrize("rows", [1, 2, 40])
def test_values_of_rows_are_the_jackknifes(labels: int, rows: int) -> None:
    generator = np.random.default_rng(labels * rows)
    truth, said = generator.integers(0, labels, rows), generator.integers(0, labels, rows)
    np.testing.assert_array_equal(row_values("accuracy", said, truth, labels), truth != said)

    def plain(kept: np.ndarray) -> float:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return float(
                1 - metrics.f1_score(truth[kept], said[kept], labels=range(labels), average="macro", zero_division=1.0)
            )

    every = np.arange(rows)
    whole = plain(every)
    slow = [rows * whole - (rows - 1) * plain(np.delete(every, row)) for row in range(rows)] if rows > 1 else [whole]
    np.testing.assert_allclose(row_values("f1", said, truth, labels), slow, atol=1e-9)


class Threshold:
    """A probe graph of two labels: row x is of label 1 where ``x . state > 0``."""

    outputs = SCORES

    def run(
        self, names: Sequence[str], batches: Iterable[Batch], shared: Mapping[str, np.ndarray]
    ) -> Iterator[tuple[np.ndarray, list[np.ndarray]]]:
        assert tuple(names) == SCORES
        step = shared["epsilon"][0] * rademacher(int(shared["seed"][0]), len(shared["state"]))
        for batch in batches:
            scores = [batch.arrays["x"] @ (shared["state"] + side) for side in (step, -step)]
            yield batch.index, [np.stack([-score, score], axis=1).astype(np.float32) for score in scores]


@pytest.mark.parametrize("objective", ["accuracy", "f1"])
def test_a_probe_records_the_objective_at_both_sides_whatever_the_batches(objective: Objective) -> None:
    generator = np.random.default_rng(1)
    x, truth = generator.standard_normal((40, 12)).astype(np.float32), generator.integers(0, 2, 40)
    state = (0.1 * generator.standard_normal(12)).astype(np.float32)

    def batches(order: Sequence[int], size: int) -> Iterator[Batch]:
        for first in range(0, 40, size):
            chosen = np.array(order[first : first + size])
            yield Batch({"x": x[chosen], "label": truth[chosen]}, chosen, Work(len(chosen)))

    compared = 0
    for seed in range(10):
        found = TwoSided(Threshold(), 0.1, objective).measure(state, [seed], batches(range(40), 40))
        for side, recorded in ((1, found.loss_plus), (-1, found.loss_minus)):
            moved = state + np.float32(side) * np.float32(0.1) * rademacher(seed, 12)
            scores = np.stack([-(x @ moved), x @ moved], axis=1)
            assert recorded[0, 0] == pytest.approx(without_gradient(objective, scores, truth), abs=1e-7)
        parts = TwoSided(Threshold(), 0.1, objective).measure(state, [seed], batches(range(39, -1, -1), 7))
        assert parts.loss_plus == found.loss_plus
        compared += found.loss_plus != found.loss_minus
        slope = (float(found.loss_plus[0, 0]) - float(found.loss_minus[0, 0])) / 0.2
        assert found.projected_gradient[0, 0] == pytest.approx(slope)
    assert compared >= 5


def test_scores_that_are_not_finite_reach_the_loop() -> None:
    batch = Batch({"x": np.ones((3, 4), np.float32), "label": np.zeros(3, np.int64)}, np.arange(3), Work(3))
    state = np.array([np.nan, 0, 0, 0], np.float32)
    found = TwoSided(Threshold(), 0.1, "accuracy").measure(state, [1], [batch])
    assert np.isnan(found.loss_plus).all()


def test_a_state_a_row_has_a_loss_a_row_only() -> None:
    with pytest.raises(ValueError, match="no accuracy"):
        TwoSided(Threshold(), 0.1, "accuracy").measure(np.zeros((2, 4), np.float32), [1], [])
