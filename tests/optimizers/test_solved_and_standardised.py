"""What becomes of a solution, and of many slopes at once, against the plain formulas."""

from __future__ import annotations

import statistics

import numpy as np
import pytest

from seedtune.runtime.estimators.protocol import Estimate
from seedtune.runtime.optimizers.damped import DampedSettings
from seedtune.runtime.optimizers.protocol import OtherStepError
from seedtune.runtime.optimizers.standardised import StandardisedSettings


def estimate(proposal: np.ndarray) -> Estimate:
    losses = np.zeros(proposal.shape, np.float32)
    return Estimate(losses, losses, proposal)


@pytest.mark.parametrize("rate", [1.0, 0.25])
def test_a_solution_is_taken_whole_or_in_part(rate: float) -> None:
    solution = np.random.default_rng(0).standard_normal((5, 1))
    optimizer = DampedSettings(learning_rate=rate).build(10, 5)
    for step in range(3):
        found = optimizer.coefficients(step, solution)
        assert found.dtype == np.float32
        np.testing.assert_array_equal(found, (rate * solution).astype(np.float32))
    falling = DampedSettings(learning_rate=rate, schedule="linear").build(10, 5)
    np.testing.assert_allclose(falling.coefficients(9, solution), 0.1 * rate * solution, rtol=1e-6)


def test_recorded_solutions_are_taken_as_they_are() -> None:
    """The journal has the mean losses, of which no solution follows."""
    optimizer = DampedSettings().build(10, 2)
    optimizer.see(0, estimate(np.ones((2, 1))), np.array([[3.0], [-2.0]], np.float32))


def test_slopes_are_divided_by_their_deviation_and_number() -> None:
    generator = np.random.default_rng(1)
    optimizer = StandardisedSettings(learning_rate=0.05).build(20, 6)
    for step in range(20):
        slopes = generator.standard_normal((6, 2)) * [[1e-3, 1e3]]
        found = optimizer.coefficients(step, slopes)
        assert (found.dtype, found.shape) == (np.float32, (6, 2))
        for group in range(2):
            deviation = statistics.stdev(slopes[:, group].tolist())
            expected = -0.05 * (20 - step) / 20 * slopes[:, group] / deviation / 6
            np.testing.assert_allclose(found[:, group], expected, rtol=1e-6)


def test_equal_slopes_give_no_step_and_one_slope_has_no_deviation() -> None:
    found = StandardisedSettings().build(5, 3).coefficients(0, np.full((3, 1), 2.0))
    assert found.tolist() == [[0.0]] * 3
    assert not np.signbit(found).any()
    with pytest.raises(ValueError, match="two probes"):
        StandardisedSettings().build(5).coefficients(0, np.ones((1, 1)))


def test_another_step_than_the_slopes_make_is_found() -> None:
    slopes = np.array([[1.0], [2.0], [-1.0]])
    made = StandardisedSettings().build(5, 3).coefficients(0, slopes)
    StandardisedSettings().build(5, 3).see(0, estimate(slopes), made)
    with pytest.raises(OtherStepError):
        StandardisedSettings().build(5, 3).see(0, estimate(slopes), made + np.float32(1e-6))
