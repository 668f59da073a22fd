"""The optimizer and its schedules against their formulas, written as plain loops."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest

from seedtune.runtime.optimizers.normalised import Normalised
from seedtune.runtime.optimizers.protocol import Optimizer
from seedtune.runtime.optimizers.schedule import factor


def coefficient(optimizer: Optimizer, step: int, gradient: float) -> float:
    """What ``optimizer`` makes of one probe of one group."""
    found = optimizer.coefficients(step, np.array([[gradient]]))
    assert (found.dtype, found.shape) == (np.float32, (1, 1))
    return found.item()


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
    assert coefficient(Normalised(0.02, 100), 0, gradient) == -math.copysign(float(np.float32(0.02)), gradient)


def test_a_zero_gradient_moves_nothing() -> None:
    optimizer = Normalised(0.02, 10)
    assert coefficient(optimizer, 0, 0.0) == 0.0
    assert coefficient(optimizer, 1, 0.0) == 0.0
    assert coefficient(optimizer, 2, 1.0) != 0.0
    assert coefficient(optimizer, 3, 0.0) == 0.0


@pytest.mark.parametrize("schedule", ["linear", "cosine", "constant"])
def test_coefficients_are_the_formula(schedule: str) -> None:
    gradients = np.random.default_rng(3).normal(size=40) * 10.0 ** np.random.default_rng(4).integers(-3, 3, 40)
    optimizer = Normalised(0.05, 40, schedule, rms_decay=0.9, clip=2.0)
    square, clipped = 0.0, 0
    for step, gradient in enumerate(gradients.tolist()):
        square = 0.9 * square + 0.1 * gradient * gradient
        ratio = gradient / math.sqrt(square / (1 - 0.9 ** (step + 1)))
        clipped += abs(ratio) > 2.0
        expected = -0.05 * factor(schedule, step, 40) * max(-2.0, min(2.0, ratio))
        assert coefficient(optimizer, step, gradient) == pytest.approx(expected, rel=1e-6, abs=1e-12)
    assert clipped > 0


def test_the_scale_of_the_loss_does_not_matter() -> None:
    gradients = np.random.default_rng(5).normal(size=20).tolist()
    plain, scaled = Normalised(0.1, 20), Normalised(0.1, 20)
    for step, gradient in enumerate(gradients):
        assert coefficient(plain, step, gradient) == pytest.approx(coefficient(scaled, step, 1e4 * gradient), rel=1e-6)


def test_no_step_moves_farther_than_the_limit() -> None:
    optimizer = Normalised(0.1, 1000, "constant")
    for step in range(500):
        coefficient(optimizer, step, 1e-6)
    assert abs(coefficient(optimizer, 500, 1e6)) == pytest.approx(0.3)
