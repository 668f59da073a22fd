"""Momentum against its formulas as a plain numpy loop: coefficients and the moved state, to the bit."""

from __future__ import annotations

import math

import numpy as np
import pytest
from loop_lab import PARAMETERS, NumpyState, bits

from seedtune.runtime.estimators.protocol import Estimate
from seedtune.runtime.noise import rademacher
from seedtune.runtime.optimizers.momentum import Momentum
from seedtune.runtime.optimizers.normalised import Normalised
from seedtune.runtime.optimizers.protocol import OtherStepError

STEPS = 60


def gradients(groups: int = 1) -> np.ndarray:
    """[STEPS, 1, groups] float64, from tiny to huge, and some exactly 0."""
    generator = np.random.default_rng(6)
    found = generator.normal(size=(STEPS, 1, groups)) * 10.0 ** generator.integers(-3, 3, (STEPS, 1, groups))
    found[generator.random(found.shape) < 0.1] = 0
    return found


def plain_coefficients(all_gradients: list[float], rate: float, momentum: float, decay: float, clip: float) -> list:
    """The formulas, in float64 and in the order of products in which they stand; a linear schedule."""
    found, mean_square, forgotten = [], 0.0, 1.0
    for step, gradient in enumerate(all_gradients):
        forgotten *= decay
        mean_square = decay * mean_square + (1.0 - decay) * (gradient * gradient)
        size = math.sqrt(mean_square / (1.0 - forgotten))
        clipped = 0.0 if size == 0.0 else max(-clip, min(clip, gradient / size))
        scheduled = rate * ((STEPS - step) / STEPS)
        found.append(np.float32(((-scheduled) * (1.0 - momentum)) * clipped))
    return found


def plain_loop(seeds: list[int], coefficients: list, momentum: float) -> np.ndarray:
    """The velocity and the state; every operation in float32, rounded once."""
    state, velocity = np.zeros(PARAMETERS, np.float32), np.zeros(PARAMETERS, np.float32)
    for seed, coefficient in zip(seeds, coefficients, strict=True):
        kept = np.float32(momentum) * velocity
        velocity = kept + np.float32(coefficient) * rademacher(seed, PARAMETERS)
        state = state + velocity
    assert state.dtype == np.float32
    return state


@pytest.mark.parametrize(("momentum", "decay", "clip"), [(0.9, 0.98, 3.0), (0.0, 0.98, 3.0), (0.99, 0.5, 0.7)])
def test_coefficients_have_the_bits_of_the_formula(momentum: float, decay: float, clip: float) -> None:
    optimizer = Momentum(0.03, STEPS, "linear", decay, clip, momentum)
    found = [optimizer.coefficients(step, gradient) for step, gradient in enumerate(gradients())]
    assert all((each.shape, each.dtype) == ((1, 1), np.float32) for each in found)
    expected = plain_coefficients(gradients().ravel().tolist(), 0.03, momentum, decay, clip)
    assert bits(np.ravel(found) + 0) == bits(np.array(expected) + 0)
    largest = np.float32(0.03 * (1 - momentum) * clip)
    assert (np.abs(expected) <= largest).all()


@pytest.mark.parametrize("momentum", [0.9, 0.5, 0.0])
def test_the_moved_state_has_the_bits_of_the_plain_loop(momentum: float) -> None:
    optimizer, state = Momentum(0.03, STEPS, momentum=momentum), NumpyState()
    coefficients = [optimizer.coefficients(step, gradient) for step, gradient in enumerate(gradients())]
    seeds = list(range(100, 100 + STEPS))
    for seed, coefficient in zip(seeds, coefficients, strict=True):
        optimizer.move(state, [seed], coefficient)
    assert bits(state.values) == bits(plain_loop(seeds, [each.item() for each in coefficients], momentum))


@pytest.mark.parametrize("cuts", [[], [1], [30], [0, 60], [7, 8, 9, 59]])
def test_many_records_at_once_move_the_state_as_one_by_one(cuts: list[int]) -> None:
    optimizer, state = Momentum(0.03, STEPS), NumpyState()
    coefficients = np.concatenate([optimizer.coefficients(step, each) for step, each in enumerate(gradients())])
    seeds = np.arange(STEPS, dtype=np.uint32)
    for some_seeds, some in zip(np.split(seeds, cuts), np.split(coefficients, cuts), strict=True):
        optimizer.move(state, some_seeds, some)
    assert bits(state.values) == bits(plain_loop(seeds.tolist(), coefficients.ravel().tolist(), 0.9))


def test_each_group_has_a_velocity_of_its_own() -> None:
    optimizer, state = Momentum(0.03, STEPS), NumpyState(groups=3)
    coefficients = np.concatenate([optimizer.coefficients(step, each) for step, each in enumerate(gradients(3))])
    optimizer.move(state, range(STEPS), coefficients)
    for group in range(3):
        alone = plain_coefficients(gradients(3)[:, 0, group].tolist(), 0.03, 0.9, 0.98, 3.0)
        np.testing.assert_array_equal(coefficients[:, group], alone)
        assert bits(state.values[group]) == bits(plain_loop(list(range(STEPS)), alone, 0.9))


def test_without_momentum_it_is_the_normalised_optimizer_to_the_bit() -> None:
    found = []
    for optimizer in (Momentum(0.03, STEPS, momentum=0.0), Normalised(0.03, STEPS)):
        state = NumpyState()
        for step, gradient in enumerate(gradients()):
            optimizer.move(state, [step], optimizer.coefficients(step, gradient))
        found.append(bits(state.values))
    assert found[0] == found[1]


def test_the_velocity_remembers_earlier_noise() -> None:
    """A step without a gradient goes on in the direction before it, a momentum of 0.9 as far."""
    optimizer, state = Momentum(0.03, STEPS, "constant"), NumpyState()
    optimizer.move(state, [1], optimizer.coefficients(0, np.array([[1.0]])))
    first = state.values.copy()
    assert first.any()
    optimizer.move(state, [2], optimizer.coefficients(1, np.array([[0.0]])))
    np.testing.assert_allclose(state.values, 1.9 * first, rtol=1e-6)


@pytest.mark.parametrize("done", [0, 1, 17, STEPS])
def test_a_resumed_run_is_the_uninterrupted_one(done: int) -> None:
    whole, expected = Momentum(0.03, STEPS), NumpyState()
    coefficients = []
    for step, gradient in enumerate(gradients()):
        coefficients.append(whole.coefficients(step, gradient))
        expected_move = coefficients[-1]
        whole.move(expected, [step], expected_move)
    resumed, state = Momentum(0.03, STEPS), NumpyState()
    nothing = np.zeros((1, 1), np.float32)
    for step in range(done):
        resumed.see(step, Estimate(nothing, nothing, gradients()[step]), coefficients[step])
    resumed.move(state, range(done), np.concatenate(coefficients[:done] or [np.zeros((0, 1), np.float32)]))
    for step in range(done, STEPS):
        coefficient = resumed.coefficients(step, gradients()[step])
        assert bits(coefficient) == bits(coefficients[step])
        resumed.move(state, [step], coefficient)
    assert bits(state.values) == bits(expected.values)


@pytest.mark.parametrize("kind", [Momentum, Normalised])
def test_a_recorded_step_that_it_would_not_have_taken_is_refused_with_both(kind: type[Normalised]) -> None:
    writer, reader = kind(0.03, STEPS), kind(0.03, STEPS)
    nothing = np.zeros((1, 1), np.float32)
    for step in range(3):
        estimate = Estimate(nothing, nothing, gradients()[step])
        reader.see(step, estimate, writer.coefficients(step, gradients()[step]))
    right = writer.coefficients(3, gradients()[3])
    wrong = np.nextafter(right, np.float32(1))
    with pytest.raises(OtherStepError) as caught:
        reader.see(3, Estimate(nothing, nothing, gradients()[3]), wrong)
    assert bits(caught.value.found) == bits(wrong)
    assert bits(caught.value.expected) == bits(right)
    assert str(wrong) in str(caught.value)


def test_steps_of_another_optimizer_are_refused() -> None:
    nothing = np.zeros((1, 1), np.float32)
    taken = Normalised(0.03, STEPS).coefficients(0, np.array([[2.0]]))
    with pytest.raises(OtherStepError):
        Momentum(0.03, STEPS).see(0, Estimate(nothing, nothing, np.array([[2.0]])), taken)
