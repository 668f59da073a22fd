"""The closed form: what it predicts, how its strength is chosen, and which rows it learns from."""

import numpy as np
import pytest

from seedtune.runtime.start.linear_probe import STRENGTHS, Probe, chosen_rows, solve, too_few
from seedtune.runtime.start.newton import spread_folds

HIDDEN, LABELS = 24, 3


def data(
    count: int, labels: int = LABELS, gap: float = 0.6, seed: int = 0, width: int = HIDDEN
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Hidden states of a common direction and uneven scales, and log-probabilities that know a little."""
    generator = np.random.default_rng(seed)
    truth = np.arange(count) % labels
    means = gap * np.random.default_rng(99).standard_normal((labels, width))
    hidden = (generator.standard_normal((count, width)) + means[truth]) * np.geomspace(0.5, 20, width) + 30
    scores = generator.standard_normal((count, labels)) + 0.5 * np.eye(labels)[truth]
    log_probabilities = scores - np.log(np.exp(scores).sum(axis=1, keepdims=True))
    return hidden.astype(np.float32), log_probabilities.astype(np.float32), truth


def scores_with(probe: Probe, hidden: np.ndarray, log_probabilities: np.ndarray) -> np.ndarray:
    """What the graph computes with ``probe.values`` in its state."""
    labels, width = log_probabilities.shape[1], hidden.shape[1]
    weight = probe.values[: labels * width].reshape(labels, width)
    bias, scale = probe.values[labels * width : -1], probe.values[-1]
    unit = hidden / np.linalg.norm(hidden, axis=1, keepdims=True)
    return (1 + scale) * log_probabilities + unit @ weight.T + bias


def loss_and_accuracy(scores: np.ndarray, truth: np.ndarray) -> tuple[float, float]:
    shifted = scores - np.log(np.exp(scores).sum(axis=1, keepdims=True))
    return float(-shifted[np.arange(len(truth)), truth].mean()), float((scores.argmax(axis=1) == truth).mean())


@pytest.mark.parametrize("labels", [2, 3, 6])
def test_unseen_rows_are_foretold_as_well_as_cross_validation_says(labels: int) -> None:
    probe = solve(*data(360, labels), 0)
    hidden, log_probabilities, truth = data(2000, labels, seed=1)
    before, _ = loss_and_accuracy(log_probabilities, truth)
    loss, accuracy = loss_and_accuracy(scores_with(probe, hidden, log_probabilities), truth)
    assert loss < before - 0.1
    assert loss == pytest.approx(probe.loss, abs=0.12)
    assert accuracy == pytest.approx(probe.accuracy, abs=0.06)
    assert probe.rows == 360


def test_hidden_states_that_say_nothing_leave_the_calibrated_scores() -> None:
    hidden, log_probabilities, truth = data(200, gap=0.0)
    probe = solve(hidden, 3 * log_probabilities, truth, seed=0)
    assert probe.strength >= 1.0
    # Scores three times too sure are calibrated: the factor comes out near a third.
    assert 1 + probe.values[-1] < 0.6
    assert probe.loss < probe.loss_before


def test_fewer_rows_than_features_and_a_constant_feature() -> None:
    hidden, log_probabilities, truth = data(30, width=64, gap=1.0)
    hidden[:, 5] = 0.0
    probe = solve(hidden, log_probabilities, truth, seed=0)
    assert np.isfinite(probe.values).all()
    assert probe.values[: 3 * 64].reshape(3, 64)[:, 5].tolist() == [0.0] * 3
    unseen = data(600, width=64, gap=1.0, seed=3)
    unseen[0][:, 5] = 0.0
    loss, _ = loss_and_accuracy(scores_with(probe, *unseen[:2]), unseen[2])
    assert loss < loss_and_accuracy(unseen[1], unseen[2])[0]


def test_many_and_few_rows_take_the_same_way_to_the_axes() -> None:
    """At the border between both ways of finding principal axes nothing jumps."""
    hidden, log_probabilities, truth = data(2 * HIDDEN)
    wide = np.concatenate([hidden, np.zeros((len(hidden), 2 * HIDDEN), np.float32)], axis=1)
    one, other = solve(hidden, log_probabilities, truth, 0), solve(wide, log_probabilities, truth, 0)
    np.testing.assert_allclose(
        scores_with(one, hidden, log_probabilities), scores_with(other, wide, log_probabilities), atol=1e-3
    )


def test_separable_rows_do_not_diverge() -> None:
    hidden, _, truth = data(60, gap=30.0)
    sure = np.log(np.where(np.eye(LABELS)[truth] == 1, 1 - 2e-6, 1e-6)).astype(np.float32)
    probe = solve(hidden, sure, truth, seed=0)
    assert np.isfinite(probe.values).all()
    assert np.abs(probe.values).max() < 1e4
    assert probe.accuracy == 1.0


def test_the_same_rows_and_seed_give_the_same_bits() -> None:
    assert solve(*data(90), 4).values.tobytes() == solve(*data(90), 4).values.tobytes()


def test_the_grid_leads_from_very_strong_to_weak() -> None:
    assert STRENGTHS[0] >= 1e3
    assert STRENGTHS[-1] <= 1e-3
    assert list(STRENGTHS) == sorted(STRENGTHS, reverse=True)


@pytest.mark.parametrize(("labels", "rare"), [([0, 0, 1, 1], None), ([0, 0, 1], 1), ([0, 0, 0], 1), ([], 0)])
def test_two_rows_of_each_label_are_needed(labels: list[int], rare: int | None) -> None:
    assert too_few(np.array(labels, np.int64), 2) == rare


def test_two_rows_of_each_label_are_enough() -> None:
    assert np.isfinite(solve(*data(2 * LABELS), 0).values).all()


def test_every_fold_leaves_rows_of_every_label() -> None:
    labels = np.array([0] * 50 + [1] * 7 + [2] * 3, np.int64)
    folds = spread_folds(labels, 3, seed=2)
    assert set(folds) == {0, 1, 2}
    for fold in range(3):
        assert set(labels[folds != fold]) == {0, 1, 2}
        assert set(labels[folds == fold]) == {0, 1, 2}


def test_of_too_many_rows_every_label_keeps_its_share() -> None:
    labels = np.repeat([0, 1, 2], [700, 200, 100]).astype(np.int64)
    places = chosen_rows(labels, 10, seed=0, most_values=1000)
    assert len(places) == len(set(places)) == 100
    np.testing.assert_allclose(np.bincount(labels[places]), [70, 20, 10], atol=1)
    assert places.tolist() == sorted(places)
    assert places.tolist() != chosen_rows(labels, 10, seed=1, most_values=1000).tolist()
    assert chosen_rows(labels, 10, seed=0, most_values=10_000).tolist() == list(range(1000))
