"""Micro-batches and the sampler, against plain loops and golden numbers."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from seedtune.runtime.data.batches import Batch, Example, micro_batches
from seedtune.runtime.data.sampler import Sampler

PADDING = 99
# Regenerate: .venv/bin/python -c "from seedtune.runtime.data.sampler import Sampler;
#   print([Sampler(42, 7, 3).indices(s).tolist() for s in range(5)])"
GOLDEN_BATCHES = [[2, 0, 6], [5, 1, 3], [4, 1, 5], [6, 4, 0], [2, 3, 1]]


def examples(count: int, seed: int, longest: int = 30) -> list[Example]:
    generator = np.random.default_rng(seed)
    made = []
    for _ in range(count):
        ids = generator.integers(0, 90, generator.integers(1, longest + 1))
        made.append(Example(ids.astype(np.int64), int(generator.integers(len(ids))), int(generator.integers(2))))
    return made


def split(rows: list[Example], limit: int) -> list[Batch]:
    return list(micro_batches(rows, limit, PADDING))


@pytest.mark.parametrize("limit", [1, 29, 30, 64, 200, 10_000])
@pytest.mark.parametrize("count", [0, 1, 2, 57])
def test_every_row_comes_exactly_once_whole_and_padded_on_the_right(count: int, limit: int) -> None:
    rows = examples(count, seed=count)
    seen: list[int] = []
    for batch in split(rows, limit):
        assert batch.ids.shape == batch.mask.shape
        for place, index in enumerate(batch.index.tolist()):
            seen.append(index)
            row = rows[index]
            length = len(row.ids)
            assert batch.ids[place].tolist() == row.ids.tolist() + [PADDING] * (batch.ids.shape[1] - length)
            assert batch.mask[place].tolist() == [1] * length + [0] * (batch.ids.shape[1] - length)
            assert batch.position[place] == row.position
            assert batch.label[place] == row.label
    assert sorted(seen) == list(range(count))


@pytest.mark.parametrize("limit", [1, 29, 30, 64, 200])
def test_the_limit_is_kept_but_for_a_row_that_is_longer_alone(limit: int) -> None:
    for batch in split(examples(80, seed=2), limit):
        assert batch.tokens == batch.ids.size
        assert batch.tokens <= limit or len(batch.label) == 1


def test_no_two_neighbours_would_have_fitted_together() -> None:
    rows, limit = examples(80, seed=3), 100
    batches = split(rows, limit)
    assert len(batches) > 3
    for first, second in itertools.pairwise(batches):
        assert (len(first.label) + 1) * len(rows[second.index[0]].ids) > limit


def test_padding_is_counted() -> None:
    for batch in split(examples(40, seed=4), 64):
        assert batch.padding_tokens == sum(value == 0 for row in batch.mask.tolist() for value in row)


def test_a_limit_that_holds_all_makes_one_batch() -> None:
    assert len(split(examples(20, seed=5), 10_000)) == 1


def test_the_split_depends_on_the_rows_only() -> None:
    for first, second in zip(split(examples(50, seed=6), 90), split(examples(50, seed=6), 90), strict=True):
        for name in ("ids", "mask", "position", "label", "index"):
            assert np.array_equal(getattr(first, name), getattr(second, name))


def test_equal_lengths_keep_their_order() -> None:
    rows = [Example(np.full(4, k), 3, 0) for k in range(10)]
    assert [index for batch in split(rows, 12) for index in batch.index] == list(range(10))


def test_a_batch_is_what_a_graph_takes() -> None:
    batch = split(examples(5, seed=7), 1000)[0]
    for name in ("ids", "mask", "position", "label", "index"):
        assert getattr(batch, name).dtype == np.int64


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


@pytest.mark.parametrize(("count", "size"), [(0, 1), (1, 0), (-1, 3)])
def test_nothing_to_choose_from_is_refused(count: int, size: int) -> None:
    with pytest.raises(ValueError, match="positive"):
        Sampler(0, count, size)


def test_golden_batches() -> None:
    assert [Sampler(42, 7, 3).indices(step).tolist() for step in range(5)] == GOLDEN_BATCHES
