"""The optimizer and its schedules against their formulas, written as plain loops."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest

from seedtune.runtime.optimizers.normalised import Normalised
from seedtune.runtime.optimizers.schedule import factor


@pytest.mark.parametrize(
    ("schedule", "expected"),
    [
        ("linear", [1.0, 0.75, 0.5, 0.25]),
        ("constant", [1.0, 1.0, 1.0, 1.0]),
        ("cosine", [1.0, 0.5 + 0.5 * math.cos(math.pi / 4), 0.5, 0.5 - 0.5 * math.cos(math.pi / 4)]),
    ],
)
def test_schedules_are_their_formulas(schedule: str, expected: list[float]) -> None:
    assert [factor(schedule, step, 4) for step in range(4)] == pytest.approx(expected, abs=1e-15)


@pytest.mark.parametrize("schedule", ["linear", "cosine", "constant"])
def test_every_step_of_a_schedule_moves_and_none_more_than_the_one_before(schedule: str) -> None:
    factors = [factor(schedule, step, 37) for step in range(37)]
    assert factors[0] == 1.0
    assert all(0 < later <= earlier for earlier, later in itertools.pairwise(factors))


@pytest.mark.parametrize("gradient", [3.0, -3.0, 1e-12, -1e12])
def test_the_first_step_moves_by_exactly_the_learning_rate_against_the_gradient(gradient: float) -> None:
    coefficient = Normalised(0.02, 100).coefficient(0, gradient)
    assert coefficient == -math.copysign(float(np.float32(0.02)), gradient)


def test_a_zero_gradient_moves_nothing() -> None:
    optimizer = Normalised(0.02, 10)
    assert optimizer.coefficient(0, 0.0) == 0.0
    assert optimizer.coefficient(1, 0.0) == 0.0
    assert optimizer.coefficient(2, 1.0) != 0.0
    assert optimizer.coefficient(3, 0.0) == 0.0


@pytest.mark.parametrize("schedule", ["linear", "cosine", "constant"])
def test_coefficients_are_the_formula(schedule: str) -> None:
    gradients = np.random.default_rng(3).normal(size=40) * 10.0 ** np.random.default_rng(4).integers(-3, 3, 40)
    optimizer = Normalised(0.05, 40, schedule, decay=0.9, limit=2.0)
    square, clipped = 0.0, 0
    for step, gradient in enumerate(gradients.tolist()):
        square = 0.9 * square + 0.1 * gradient * gradient
        ratio = gradient / math.sqrt(square / (1 - 0.9 ** (step + 1)))
        clipped += abs(ratio) > 2.0
        expected = -0.05 * factor(schedule, step, 40) * max(-2.0, min(2.0, ratio))
        assert optimizer.coefficient(step, gradient) == pytest.approx(expected, rel=1e-6, abs=1e-12)
    assert clipped > 0


def test_the_scale_of_the_loss_does_not_matter() -> None:
    gradients = np.random.default_rng(5).normal(size=20).tolist()
    plain, scaled = Normalised(0.1, 20), Normalised(0.1, 20)
    for step, gradient in enumerate(gradients):
        assert plain.coefficient(step, gradient) == pytest.approx(scaled.coefficient(step, 1e4 * gradient), rel=1e-6)


def test_no_step_moves_farther_than_the_limit() -> None:
    optimizer = Normalised(0.1, 1000, "constant")
    for step in range(500):
        optimizer.coefficient(step, 1e-6)
    assert abs(optimizer.coefficient(500, 1e6)) == pytest.approx(0.3)


def test_a_coefficient_is_a_float32_so_that_the_journal_keeps_it_whole() -> None:
    optimizer = Normalised(0.1, 9)
    for step in range(9):
        value = optimizer.coefficient(step, math.sin(step + 1.0))
        assert float(np.float32(value)) == value
