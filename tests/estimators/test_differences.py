"""The step out of per-example differences, against a plain logistic regression that knows no trick."""

from __future__ import annotations

import numpy as np
import pytest

from seedtune.runtime.estimators.differences import STRENGTHS, Differences, relative, solve
from seedtune.runtime.start.newton import FOLDS, spread_folds

optimize = pytest.importorskip("scipy.optimize")


def rows_of(count: int, labels: int, directions: int, seed: int) -> Differences:
    """Rows some of whose directions lead to their labels."""
    generator = np.random.default_rng(seed)
    truth = generator.integers(0, labels, count)
    base = generator.standard_normal((count, labels))
    slopes = 3 * generator.standard_normal((count, labels, directions))
    slopes[:, :, :2] += 2 * np.eye(labels)[truth][:, :, None]
    last = slopes[:, :-1] - slopes[:, -1:]
    return Differences(relative(base), last, truth)


def slow_loss(rows: Differences, c: np.ndarray, learnt: np.ndarray) -> float:
    """The sum of the negative log-probabilities of the rows that count, one after another."""
    total = 0.0
    for base, slopes, label, counts in zip(rows.base, rows.slopes, rows.labels, learnt, strict=True):
        scores = np.append(base + sum(c[k] * slopes[:, k] for k in range(len(c))), 0.0)
        total += counts * (np.log(np.exp(scores).sum()) - scores[label])
    return total


def slow_fit(rows: Differences, learnt: np.ndarray, penalty: float) -> np.ndarray:
    size = rows.slopes.shape[2]
    found = optimize.minimize(
        lambda c: slow_loss(rows, c, learnt) + penalty / 2 * (c @ c), np.zeros(size), method="BFGS"
    )
    return found.x


def slow_curvature(rows: Differences) -> float:
    """The mean over the directions of the second derivative of the summed loss, by differences."""
    size, h = rows.slopes.shape[2], 1e-3
    ones = np.ones(len(rows.labels))
    at_zero = slow_loss(rows, np.zeros(size), ones)
    second = [
        (slow_loss(rows, h * axis, ones) - 2 * at_zero + slow_loss(rows, -h * axis, ones)) / h**2
        for axis in np.eye(size)
    ]
    return float(np.mean(second))


@pytest.mark.parametrize(("count", "labels", "directions"), [(40, 2, 5), (30, 4, 3), (12, 2, 20)])
def test_the_step_is_that_of_a_plain_regression_with_the_strength_that_predicts_best(
    count: int, labels: int, directions: int
) -> None:
    rows = rows_of(count, labels, directions, seed=count)
    folds, unit = spread_folds(rows.labels, FOLDS, 9), slow_curvature(rows) / count
    ones, losses = np.ones(count), []
    for strength in STRENGTHS:
        loss = 0.0
        for fold in range(FOLDS):
            learnt = (folds != fold).astype(float)
            loss += slow_loss(rows, slow_fit(rows, learnt, strength * learnt.sum() * unit), 1 - learnt)
        losses.append(loss / count)
        if len(losses) - 1 - int(np.argmin(losses)) >= 3:
            break
    strength = STRENGTHS[int(np.argmin(losses))]
    expected = slow_fit(rows, ones, strength * count * unit)
    np.testing.assert_allclose(solve(rows, 9), expected, atol=2e-3 * np.abs(expected).max() + 1e-5)
    assert slow_loss(rows, expected, ones) < slow_loss(rows, np.zeros(directions), ones)


def test_what_tells_nothing_of_the_labels_moves_next_to_nothing() -> None:
    generator = np.random.default_rng(3)
    told = rows_of(200, 2, 6, seed=1)
    noise = Differences(told.base, generator.standard_normal((200, 1, 6)), generator.integers(0, 2, 200))
    untold = Differences(np.zeros_like(told.base), noise.slopes, noise.labels)
    free = [np.linalg.norm(slow_fit(rows, np.ones(200), 1e-6)) for rows in (untold, told)]
    assert np.linalg.norm(solve(untold, 0)) < 0.5 * free[0]
    assert np.linalg.norm(solve(told, 0)) > 0.6 * free[1]


def test_directions_that_change_nothing_give_no_step() -> None:
    told = rows_of(20, 3, 4, seed=2)
    still = Differences(told.base, np.zeros_like(told.slopes), told.labels)
    assert solve(still, 0).tolist() == [0.0] * 4


@pytest.mark.parametrize("count", [2, 3])
def test_few_rows_and_rows_of_one_label_are_solved_of_as_well(count: int) -> None:
    told = rows_of(count, 3, 4, seed=4)
    same = Differences(told.base, told.slopes, np.zeros(count, np.int64))
    assert np.isfinite(solve(same, 1)).all()


def test_units_of_the_directions_change_the_step_and_not_where_it_leads() -> None:
    told = rows_of(60, 2, 5, seed=6)
    scaled = Differences(told.base, told.slopes * 1e-3, told.labels)
    np.testing.assert_allclose(solve(scaled, 2) * 1e-3, solve(told, 2), rtol=1e-6)
