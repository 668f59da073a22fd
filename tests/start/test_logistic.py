"""The solver against scipy's general minimiser, and against scikit-learn where it has the same model."""

import numpy as np
import pytest

from seedtune.runtime.start.logistic import TETHER, Rows, fit, untouched
from seedtune.runtime.start.newton import losses_of

optimize = pytest.importorskip("scipy.optimize")
linear_model = pytest.importorskip("sklearn.linear_model")


def rows_of(count: int, features: int, labels: int, seed: int, gap: float = 0.4) -> Rows:
    """Rows whose label shows in features of different scales and, less, in the given scores."""
    generator = np.random.default_rng(seed)
    truth = generator.integers(0, labels, count)
    means = gap * generator.standard_normal((labels, features))
    x = (generator.standard_normal((count, features)) + means[truth]) * np.geomspace(0.01, 10, features)
    x -= x.mean(axis=0)
    scores = generator.standard_normal((count, labels)) + 0.5 * np.eye(labels)[truth]
    return Rows(x, scores, truth, (x * x).sum(axis=0))


def objective(rows: Rows, weights: np.ndarray, l2: float, parameters: np.ndarray) -> float:
    """The definition, one row after another."""
    labels, features = rows.shape
    weight, bias, a = np.split(parameters, [labels * features, labels * (features + 1)])
    total = l2 / 2 * (weight**2).sum() + TETHER / 2 * ((a[0] - 1) ** 2 + (bias**2).sum())
    for z, lm, label, counted in zip(rows.features, rows.given, rows.labels, weights, strict=True):
        scores = a[0] * lm + weight.reshape(labels, features) @ z + bias
        total += counted * (np.log(np.exp(scores).sum()) - scores[label])
    return float(total)


@pytest.mark.parametrize(("count", "features", "labels"), [(60, 4, 2), (80, 3, 6), (12, 20, 3)])
@pytest.mark.parametrize("l2", [1e3, 1.0, 1e-2])
def test_the_minimum_is_that_of_a_general_minimiser(count: int, features: int, labels: int, l2: float) -> None:
    rows = rows_of(count, features, labels, seed=count)
    weights = np.random.default_rng(1).integers(0, 2, count).astype(np.float64)
    found = fit(rows, weights, l2, untouched(rows))
    best = optimize.minimize(
        lambda x: objective(rows, weights, l2, x), untouched(rows), method="BFGS", options={"gtol": 1e-6}
    )
    assert objective(rows, weights, l2, found) <= best.fun + 1e-6 * count


def test_without_given_scores_it_is_scikit_learns_model() -> None:
    rows = rows_of(150, 5, 3, seed=3)
    rows = Rows(rows.features, np.zeros_like(rows.given), rows.labels, rows.squares)
    found = fit(rows, np.ones(150), 2.0, untouched(rows))
    theirs = linear_model.LogisticRegression(C=0.5, tol=1e-10, max_iter=10_000).fit(rows.features, rows.labels)
    np.testing.assert_allclose(found[:15].reshape(3, 5), theirs.coef_, atol=2e-3)


def test_rows_of_weight_zero_are_not_learnt_from() -> None:
    rows = rows_of(100, 4, 2, seed=5)
    learnt = np.arange(100) % 3 > 0
    part = Rows(rows.features[learnt], rows.given[learnt], rows.labels[learnt], rows.squares)
    one = fit(rows, learnt.astype(np.float64), 0.5, untouched(rows))
    other = fit(part, np.ones(learnt.sum()), 0.5, untouched(part))
    np.testing.assert_allclose(one, other, atol=1e-3)


def test_rows_that_can_be_told_apart_without_error_give_finite_parameters() -> None:
    rows = rows_of(40, 60, 3, seed=7, gap=5.0)
    scores = 8.0 * np.eye(3)[rows.labels]
    rows = Rows(rows.features, scores, rows.labels, rows.squares)
    found = fit(rows, np.ones(40), 1e-6, untouched(rows))
    assert np.isfinite(found).all()
    assert np.abs(found).max() < 1e4
    assert losses_of(rows.scores(found), rows.labels).max() < 0.01


def test_a_very_strong_penalty_leaves_the_calibrated_scores() -> None:
    rows = rows_of(200, 6, 3, seed=9)
    found = fit(rows, np.ones(200), 1e12, untouched(rows))
    alone = Rows(np.zeros_like(rows.features), rows.given, rows.labels, np.zeros(6))
    calibrated = fit(alone, np.ones(200), 1.0, untouched(alone))
    np.testing.assert_allclose(rows.scores(found), alone.scores(calibrated), atol=1e-4)


def test_a_warm_start_leads_to_the_same_minimum() -> None:
    rows = rows_of(100, 6, 4, seed=13)
    cold = fit(rows, np.ones(100), 0.1, untouched(rows))
    warm = fit(rows, np.ones(100), 0.1, fit(rows, np.ones(100), 10.0, untouched(rows)))
    # A shift that all labels share changes no probability.
    one, other = (rows.scores(each) - rows.scores(each).mean(axis=1, keepdims=True) for each in (cold, warm))
    np.testing.assert_allclose(one, other, atol=1e-3)
