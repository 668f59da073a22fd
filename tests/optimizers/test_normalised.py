"""The optimizer and its schedules against their formulas, written as plain loops."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest

from seedtune.runtime.errors import SeedTuneError
from seedtune.runtime.optimizers.normalised import Normalised
from seedtune.runtime.optimizers.protocol import Optimizer
from seedtune.runtime.optimizers.schedule import Schedule, factor
from seedtune.runtime.optimizers.settings import optimizer_of
from seedtune.runtime.run.settings import Settings


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
def test_schedules_are_their_formulas(schedule: Schedule, expected: list[float]) -> None:
    assert [factor(schedule, step, 4) for step in range(4)] == pytest.approx(expected, abs=1e-15)


@pytest.mark.parametrize("schedule", ["linear", "cosine", "constant"])
def test_every_step_of_a_schedule_moves_and_none_more_than_the_one_before(schedule: Schedule) -> None:
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
def test_coefficients_are_the_formula(schedule: Schedule) -> None:
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


@pytest.mark.parametrize(("probes", "groups"), [(1, 3), (2, 1), (3, 4)])
def test_probes_share_a_step_and_groups_share_nothing(probes: int, groups: int) -> None:
    """Each probe has a K-th of the step, in units of the root mean square over probes and earlier steps."""
    gradients = np.random.default_rng(7).normal(size=(30, probes, groups)) * np.geomspace(1e-3, 1e3, groups)
    optimizer = Normalised(0.05, 30, rms_decay=0.9, clip=1.5)
    squares, clipped = [0.0] * groups, 0
    for step in range(30):
        found = optimizer.coefficients(step, gradients[step])
        assert (found.dtype, found.shape) == (np.float32, (probes, groups))
        for group in range(groups):
            mean = sum(gradients[step, k, group] ** 2 for k in range(probes)) / probes
            squares[group] = 0.9 * squares[group] + 0.1 * mean
            size = math.sqrt(squares[group] / (1 - 0.9 ** (step + 1)))
            for k in range(probes):
                ratio = gradients[step, k, group] / size
                clipped += abs(ratio) > 1.5
                expected = -0.05 * factor("linear", step, 30) * max(-1.5, min(1.5, ratio)) / probes
                assert found[k, group] == pytest.approx(expected, rel=1e-5, abs=1e-12)
    assert clipped > 0


def test_a_group_whose_gradient_was_always_0_stays_while_others_move() -> None:
    optimizer = Normalised(0.05, 10)
    for step in range(3):
        found = optimizer.coefficients(step, np.array([[0.0, 2.0], [0.0, -1.0]]))
        assert not found[:, 0].any()
        assert not np.signbit(found[:, 0]).any()
        assert found[:, 1].all()


@pytest.mark.parametrize("name", ["normalised", "momentum"])
def test_the_header_of_a_journal_names_the_optimizer(name: str) -> None:
    settings = Settings(steps=7).changed({"optimizer": name, "learning_rate": 0.5})
    optimizer = optimizer_of(settings.as_dict())
    assert type(optimizer).__name__.lower() == name
    assert optimizer.rate(0) == 0.5
    assert optimizer.rate(6) == pytest.approx(0.5 / 7)


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"optimizer.kind": "adam"}, "adam"),
        ({"optimizer.kind": 3}, "3"),
        ({"optimizer.nesterov": 1}, "nesterov"),
        ({"optimizer.momentum": 0.9}, "momentum"),
        ({"optimizer.clip": -1.0}, "clip"),
        ({"optimizer.learning_rate": "fast"}, "learning_rate"),
        ({"steps": 0}, "steps"),
        ({"steps": "many"}, "steps"),
    ],
)
def test_what_no_optimizer_of_this_version_has_is_refused_by_name(change: dict, named: str) -> None:
    with pytest.raises(SeedTuneError) as caught:
        optimizer_of(Settings(steps=7).as_dict() | change)
    assert named in str(caught.value)
    assert caught.value.remedy
