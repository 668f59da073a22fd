"""The mean of the last states: which steps it is of, its bits, and that it follows from records in any pieces."""

from __future__ import annotations

import numpy as np
import pytest
from loop_lab import PARAMETERS, NumpyState

from seedtune.runtime.noise import rademacher
from seedtune.runtime.optimizers.momentum import MomentumSettings
from seedtune.runtime.optimizers.normalised import NormalisedSettings

STEPS = 12


def records(probes: int, groups: int | None) -> tuple[list[int], np.ndarray]:
    count = STEPS * probes
    coefficients = np.random.default_rng(3).standard_normal((count, groups or 1)).astype(np.float32)
    return list(range(100, 100 + count)), coefficients


def plain(probes: int, groups: int | None, average: float, steps: int) -> np.ndarray:
    """The definition in float64: the mean of the states after each of the last steps."""
    seeds, coefficients = records(probes, groups)
    state, states = np.zeros((groups or 1, PARAMETERS)), []
    for number, (seed, c) in enumerate(zip(seeds, coefficients, strict=True), 1):
        state = state + c[:, None].astype(np.float64) * rademacher(seed, PARAMETERS)
        if number % probes == 0:
            states.append(state)
    first = STEPS - max(1, int(average * STEPS))
    tail = states[first:steps] or states[steps - 1 : steps]
    mean = np.mean(tail, axis=0)
    return mean if groups else mean[0]


@pytest.mark.parametrize("groups", [None, 3])
@pytest.mark.parametrize("probes", [1, 4])
@pytest.mark.parametrize("average", [0.01, 0.25, 0.5, 1.0])
@pytest.mark.parametrize("steps", [1, 6, 11, STEPS])
def test_it_is_the_mean_of_the_last_states(probes: int, groups: int | None, average: float, steps: int) -> None:
    seeds, coefficients = records(probes, groups)
    optimizer, state = NormalisedSettings(average=average).build(STEPS, probes), NumpyState(groups)
    optimizer.move(state, seeds[: steps * probes], coefficients[: steps * probes])
    np.testing.assert_allclose(
        optimizer.evaluated(state).values, plain(probes, groups, average, steps), rtol=1e-5, atol=1e-5
    )


@pytest.mark.parametrize("settings", [NormalisedSettings(average=0.6), MomentumSettings(average=0.6)])
@pytest.mark.parametrize("cut", [1, 5, 8])
def test_it_has_the_same_bits_in_one_piece_and_in_many(settings: NormalisedSettings, cut: int) -> None:
    seeds, coefficients = records(2, None)
    whole, state = settings.build(STEPS, 2), NumpyState()
    whole.move(state, seeds, coefficients)
    parts, other = settings.build(STEPS, 2), NumpyState()
    for first, last in ((0, 2 * cut), *((place, place + 2) for place in range(2 * cut, 2 * STEPS, 2))):
        parts.move(other, seeds[first:last], coefficients[first:last])
    assert parts.evaluated(other).values.tobytes() == whole.evaluated(state).values.tobytes()
    assert other.values.tobytes() == state.values.tobytes()
    assert whole.evaluated(state) is not state


def test_without_it_the_state_is_evaluated_and_steps_are_the_same_with_it() -> None:
    seeds, coefficients = records(1, None)
    plainly, averaging = NormalisedSettings().build(STEPS), NormalisedSettings(average=0.5).build(STEPS)
    states = NumpyState(), NumpyState()
    for optimizer, state in zip((plainly, averaging), states, strict=True):
        optimizer.move(state, seeds, coefficients)
    assert plainly.evaluated(states[0]) is states[0]
    assert states[0].values.tobytes() == states[1].values.tobytes()
    assert (NormalisedSettings().vectors, NormalisedSettings(average=0.5).vectors) == (0, 1)
    assert (MomentumSettings().vectors, MomentumSettings(average=0.5).vectors) == (1, 2)
    slopes = np.array([[0.5]])
    assert averaging.coefficients(0, slopes) == plainly.coefficients(0, slopes)
    assert averaging.rate(3) == plainly.rate(3)
