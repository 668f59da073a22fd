"""The update graph against the plain numpy loop: equal bits, for any number of steps and any split into calls."""

import numpy as np
import onnxruntime
import pytest
from graph_lab import session_of

from seedtune.exporter.graphs.update import build_update
from seedtune.runtime.bundle.manifest import StateLayout, Target
from seedtune.runtime.graphs.state import PROBES_PER_CALL, State
from seedtune.runtime.noise import rademacher

pytestmark = pytest.mark.traced

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


@pytest.fixture(scope="module")
def grouped() -> onnxruntime.InferenceSession:
    """The update graph for `LAYOUT`, with a state a row."""
    return session_of(build_update(LAYOUT, groups=True))


def journal_of_groups(steps: int, groups: int, seed: int = 2) -> tuple[np.ndarray, np.ndarray]:
    """Random seeds [K] and coefficients [K, G], of which some are 0, as those of rows that have arrived."""
    generator = np.random.default_rng(seed)
    seeds, _ = journal(steps, seed)
    coefficients = generator.standard_normal((steps, groups)) * 10.0 ** generator.integers(-9, 3, (steps, groups))
    coefficients[generator.random((steps, groups)) < 0.2] = 0
    return seeds, coefficients.astype(np.float32)


def bits(values: np.ndarray) -> np.ndarray:
    """The float32 values as integers, so that -0.0 is not 0.0."""
    return values.view(np.uint32)


@pytest.mark.parametrize("steps", [0, 1, 2, PROBES_PER_CALL, PROBES_PER_CALL + 1, 300])
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


@pytest.mark.parametrize("groups", [1, 2, 7])
@pytest.mark.parametrize("steps", [0, 1, PROBES_PER_CALL, PROBES_PER_CALL + 1, 100])
def test_each_group_has_the_bits_of_the_plain_loop_with_its_own_coefficients_and_the_noise_of_all(
    grouped: onnxruntime.InferenceSession, groups: int, steps: int
) -> None:
    seeds, coefficients = journal_of_groups(steps, groups)
    state = State(grouped, PARAMETERS, groups)
    assert state.values.shape == (groups, PARAMETERS)
    state.apply(seeds, coefficients)
    for group in range(groups):
        expected = plain_loop(np.zeros(PARAMETERS, np.float32), seeds, coefficients[:, group])
        np.testing.assert_array_equal(bits(state.values[group]), bits(expected))
    assert (steps == 0) == (not state.values.any())


def test_one_group_has_the_bits_of_the_graph_without_groups(
    session: onnxruntime.InferenceSession, grouped: onnxruntime.InferenceSession
) -> None:
    seeds, coefficients = journal(80)
    alone, of_group = State(session, PARAMETERS), State(grouped, PARAMETERS, 1)
    alone.apply(seeds, coefficients)
    of_group.apply(seeds, coefficients[:, None])
    np.testing.assert_array_equal(bits(of_group.values[0]), bits(alone.values))


def test_a_group_with_coefficient_0_keeps_its_bits_while_the_others_move(
    grouped: onnxruntime.InferenceSession,
) -> None:
    state = State(grouped, PARAMETERS, 3)
    state.apply(*journal_of_groups(40, 3))
    before = state.values.copy()
    seeds, coefficients = journal_of_groups(40, 3, seed=3)
    coefficients[:, 1] = 0
    state.apply(seeds, coefficients)
    np.testing.assert_array_equal(bits(state.values[1]), bits(before[1]))
    assert (state.values[[0, 2]] != before[[0, 2]]).any(axis=1).all()


def test_the_states_of_groups_are_changed_in_their_own_memory_and_another_of_the_shape_is_zero(
    grouped: onnxruntime.InferenceSession,
) -> None:
    state = State(grouped, PARAMETERS, 3)
    address = state.values.ctypes.data
    state.apply(*journal_of_groups(5, 3))
    assert state.values.ctypes.data == address
    other = state.zero_like()
    assert other.values.shape == (3, PARAMETERS)
    assert not other.values.any()
    other.apply(*journal_of_groups(5, 3))
    np.testing.assert_array_equal(bits(other.values), bits(state.values))


@pytest.mark.parametrize("shape", [(5, 2), (5, 4), (4, 3), (5,)])
def test_coefficients_of_another_number_of_groups_or_probes_are_refused(
    grouped: onnxruntime.InferenceSession, shape: tuple[int, ...]
) -> None:
    state = State(grouped, PARAMETERS, 3)
    with pytest.raises(ValueError, match="reshape"):
        state.apply(range(5), np.ones(shape, np.float32))
    assert not state.values.any()
