"""Closed forms and zero-shot answers of the accuracy bench against plain computations of the same."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from scipy.optimize import minimize
from scipy.special import log_softmax, softmax

from lab.accuracy.method import Budget, measured
from lab.accuracy.probes import STRENGTHS, LinearProbe, fitted
from lab.accuracy.zero_shot import ZeroShot

pytestmark = pytest.mark.traced  # the protocol of the methods imports torch

ROWS, WIDTH, CLASSES = 90, 5, 3


@pytest.fixture
def problem() -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(7)
    states = random.normal(size=(ROWS, WIDTH)) * [1, 10, 0.1, 3, 1] + 2
    centre = (states - states.mean(axis=0)) / states.std(axis=0)
    scores = centre @ random.normal(size=(WIDTH, CLASSES))
    return states, np.array([random.choice(CLASSES, p=softmax(row)) for row in scores])


def test_the_probe_is_the_minimum_of_the_regularised_loss(problem: tuple[np.ndarray, np.ndarray]) -> None:
    states, labels = problem
    probe = fitted(states, labels)
    strength = float(np.ravel(probe[-1].C_)[0])
    assert strength in STRENGTHS
    centred = (states - states.mean(axis=0)) / states.std(axis=0)

    def objective(flat: np.ndarray) -> float:
        weights = flat.reshape(WIDTH + 1, CLASSES)
        losses = -log_softmax(centred @ weights[:-1] + weights[-1], axis=1)[np.arange(ROWS), labels]
        return float(losses.sum() + (weights[:-1] ** 2).sum() / (2 * strength))

    best = minimize(objective, np.zeros((WIDTH + 1) * CLASSES), options={"gtol": 1e-7}).x.reshape(WIDTH + 1, CLASSES)
    expected = softmax(centred @ best[:-1] + best[-1], axis=1)
    np.testing.assert_allclose(probe.predict_proba(states), expected, atol=2e-3)


def test_a_probe_of_several_layers_sees_states_of_evenly_spaced_depths() -> None:
    last = np.arange(31, dtype=np.float32)[None, :, None] * np.ones((4, 1, 2), np.float32)
    assert LinearProbe().features(last)[0].tolist() == [30, 30]
    assert LinearProbe(parts=6).features(last)[0, ::2].tolist() == [5, 10, 15, 20, 25, 30]


def task_of(random: np.random.Generator) -> Any:
    """A prepared task without a model: frozen states, label words and labels at random."""
    part = {"train": range(40), "validation": range(40, 50), "test": range(50, 70)}
    labels = random.integers(CLASSES, size=70)
    found: dict[str, Any] = {}

    def outcome(scores: dict[str, np.ndarray], passes: int, seconds: float) -> None:
        found.update(scores=scores, passes=passes)

    random_words = random.normal(size=(CLASSES, WIDTH))
    words = SimpleNamespace(double=lambda: SimpleNamespace(numpy=lambda: random_words))
    last = random.normal(size=(70, 4, WIDTH)).astype(np.float32)
    return SimpleNamespace(
        part=part, labels_of=lambda name: labels[part[name]], outcome=outcome, words=words,
        frozen=SimpleNamespace(last=last), found=found, plain=last[:, -1] @ random_words.T,
    )  # fmt: skip


def test_calibration_divides_the_mean_probability_of_the_training_rows_out() -> None:
    task = task_of(np.random.default_rng(3))
    ZeroShot(calibrated=True).run(task, 0, Budget())
    probabilities = softmax(task.plain, axis=1)
    divided = probabilities[50:] / probabilities[:40].mean(axis=0)
    expected = np.log(divided / divided.sum(axis=1, keepdims=True))
    np.testing.assert_allclose(log_softmax(task.found["scores"]["test"], axis=1), expected, atol=1e-5)
    assert task.found["passes"] == 40


def test_plain_zero_shot_is_the_label_word_of_the_highest_score() -> None:
    task = task_of(np.random.default_rng(4))
    ZeroShot().run(task, 0, Budget())
    np.testing.assert_array_equal(task.found["scores"]["test"].argmax(axis=1), task.plain[50:].argmax(axis=1))


def test_accuracy_and_loss_are_those_of_the_scores() -> None:
    accuracy, loss = measured(np.log([[0.5, 0.25, 0.25], [0.2, 0.2, 0.6]]) + 3, np.array([0, 1]))
    assert accuracy == 0.5
    assert loss == pytest.approx(-(np.log(0.5) + np.log(0.2)) / 2)
