"""The sampler is a pure function of seed and step that shows every example once an epoch; golden numbers too."""

from __future__ import annotations

import numpy as np
import pytest

from seedtune.runtime.batches.sampler import Sampler
from seedtune.runtime.noise import derive_seed, permutation

# Regenerate: .venv/bin/python -c "from seedtune.runtime.batches.sampler import Sampler;
#   print([Sampler(42, 7, 3).indices(s).tolist() for s in range(5)])"
GOLDEN_BATCHES = [[2, 0, 6], [5, 1, 3], [4, 1, 5], [6, 4, 0], [2, 3, 1]]


@pytest.mark.parametrize(("count", "size"), [(10, 3), (10, 10), (7, 16), (1, 4), (100, 1)])
def test_steps_laid_end_to_end_are_the_epochs_permutations(count: int, size: int) -> None:
    steps = 3 * count // size + 3
    walked = np.concatenate([Sampler(9, count, size).indices(step) for step in range(steps)])
    epochs = [permutation(derive_seed(9, "sampler", epoch), count) for epoch in range(steps * size // count + 1)]
    assert walked.dtype == np.int64
    assert walked.tolist() == np.concatenate(epochs)[: steps * size].tolist()


@pytest.mark.parametrize(("count", "size", "step"), [(0, 1, 0), (1, 0, 0), (-1, 3, 0), (1, 1, -1)])
def test_impossible_numbers_are_refused(count: int, size: int, step: int) -> None:
    with pytest.raises(ValueError, match=r"positive|step < 0"):
        Sampler(0, count, size).indices(step)


@pytest.mark.parametrize(("count", "size"), [(10, 3), (7, 7), (5, 12), (1, 4), (64, 16)])
def test_each_epoch_is_a_permutation(count: int, size: int) -> None:
    sampler = Sampler(3, count, size)
    steps = -(-6 * count // size)
    stream = np.concatenate([sampler.indices(step) for step in range(steps)])
    for epoch in range(6):
        assert sorted(stream[epoch * count : (epoch + 1) * count].tolist()) == list(range(count))


def test_epochs_differ() -> None:
    sampler = Sampler(3, 50, 50)
    orders = {tuple(sampler.indices(step).tolist()) for step in range(20)}
    assert len(orders) == 20


def test_seeds_differ() -> None:
    assert len({tuple(Sampler(seed, 50, 50).indices(0).tolist()) for seed in range(20)}) == 20


def test_a_step_is_the_same_whatever_was_asked_before() -> None:
    forward = [Sampler(9, 11, 4).indices(step).tolist() for step in range(30)]
    one = Sampler(9, 11, 4)
    for step in np.random.default_rng(1).permutation(30).tolist():
        assert one.indices(step).tolist() == forward[step]


def test_a_batch_larger_than_the_data_repeats_rows_across_epochs() -> None:
    indices = Sampler(1, 5, 12).indices(0)
    assert indices.shape == (12,)
    assert sorted(indices[:5]) == sorted(indices[5:10]) == list(range(5))


def test_indices_stay_in_range_far_along() -> None:
    indices = Sampler(1, 1000, 32).indices(10**7)
    assert indices.min() >= 0
    assert indices.max() < 1000


def test_golden_batches() -> None:
    assert [Sampler(42, 7, 3).indices(step).tolist() for step in range(5)] == GOLDEN_BATCHES
