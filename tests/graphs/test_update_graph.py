"""The update graph against the plain numpy loop: equal bits, for any number of steps and any split into calls."""

import numpy as np
import onnxruntime
import pytest
from export_lab import session_of

from seedtune.exporter.graphs.update import build_update
from seedtune.runtime.bundle.manifest import StateLayout, Target
from seedtune.runtime.graphs.state import STEPS_PER_CALL, State
from seedtune.runtime.noise import rademacher

PARAMETERS = 1056
LAYOUT = StateLayout(PARAMETERS, 4, 0, (Target("a", "a.lora_A.weight", 0, 264, 8, 4),))


@pytest.fixture(scope="module")
def session() -> onnxruntime.InferenceSession:
    """The update graph for `LAYOUT`."""
    return session_of(build_update(LAYOUT))


def journal(steps: int, seed: int = 1) -> tuple[np.ndarray, np.ndarray]:
    """Random seeds and coefficients of very different sizes."""
    generator = np.random.default_rng(seed)
    coefficients = generator.standard_normal(steps) * 10.0 ** generator.integers(-9, 3, steps)
    return generator.integers(0, 1 << 32, steps), coefficients.astype(np.float32)


def plain_loop(start: np.ndarray, seeds: np.ndarray, coefficients: np.ndarray) -> np.ndarray:
    """What the graph stands for."""
    state = start.copy()
    for seed, coefficient in zip(seeds, coefficients, strict=True):
        state += coefficient * rademacher(int(seed), len(state))
    return state


def bits(values: np.ndarray) -> np.ndarray:
    """The float32 values as integers, so that -0.0 is not 0.0."""
    return values.view(np.uint32)


@pytest.mark.parametrize("steps", [0, 1, 2, STEPS_PER_CALL, STEPS_PER_CALL + 1, 300])
def test_steps_give_the_bits_of_the_plain_loop(session: onnxruntime.InferenceSession, steps: int) -> None:
    seeds, coefficients = journal(steps)
    state = State(session, PARAMETERS)
    state.apply(seeds, coefficients)
    expected = plain_loop(np.zeros(PARAMETERS, np.float32), seeds, coefficients)
    np.testing.assert_array_equal(bits(state.values), bits(expected))
    assert (steps == 0) == (not state.values.any())


@pytest.mark.parametrize("cuts", [[], [1], [150], [299], [7, 8, 8, 200, 263], list(range(0, 300, 13))])
def test_any_split_into_calls_gives_the_same_bits(session: onnxruntime.InferenceSession, cuts: list[int]) -> None:
    seeds, coefficients = journal(300)
    state = State(session, PARAMETERS)
    for some_seeds, some_coefficients in zip(np.split(seeds, cuts), np.split(coefficients, cuts), strict=True):
        state.apply(some_seeds, some_coefficients)
    expected = plain_loop(np.zeros(PARAMETERS, np.float32), seeds, coefficients)
    np.testing.assert_array_equal(bits(state.values), bits(expected))


def test_the_state_is_changed_in_its_own_memory(session: onnxruntime.InferenceSession) -> None:
    state = State(session, PARAMETERS)
    values, address = state.values, state.values.ctypes.data
    state.apply(*journal(3))
    assert state.values is values
    assert state.values.ctypes.data == address
    assert values.any()


def test_a_state_that_starts_elsewhere_goes_on_from_there(session: onnxruntime.InferenceSession) -> None:
    seeds, coefficients = journal(20)
    start = np.random.default_rng(5).standard_normal(PARAMETERS).astype(np.float32)
    feeds = {"state": start, "seeds": seeds, "coefficients": coefficients}
    (found,) = session.run(["state_out"], feeds)
    np.testing.assert_array_equal(bits(found), bits(plain_loop(start, seeds, coefficients)))


def test_the_order_of_the_steps_matters_and_is_kept(session: onnxruntime.InferenceSession) -> None:
    seeds, coefficients = journal(40)
    results = []
    for order in (slice(None), slice(None, None, -1)):
        state = State(session, PARAMETERS)
        state.apply(seeds[order], coefficients[order])
        expected = plain_loop(np.zeros(PARAMETERS, np.float32), seeds[order], coefficients[order])
        np.testing.assert_array_equal(bits(state.values), bits(expected))
        results.append(state.sha256())
    assert results[0] != results[1]


def test_threads_do_not_change_the_bits() -> None:
    seeds, coefficients = journal(50)
    found = []
    for threads in (1, 2, 4):
        state = State(session_of(build_update(LAYOUT), threads=threads), PARAMETERS)
        state.apply(seeds, coefficients)
        found.append(state.sha256())
    assert found == found[:1] * 3
