"""Micro-batches hold every example once, within the limit, and pad on the right."""

from __future__ import annotations

import numpy as np
import pytest

from seedtune.runtime.data.batches import Batch, Example, micro_batches

PADDING_ID = 7


def examples(count: int = 200, seed: int = 11) -> list[Example]:
    generator = np.random.default_rng(seed)
    lengths = generator.integers(1, 60, count)
    return [
        Example(generator.integers(10, 99, length).astype(np.int64), int(length) - 1, int(generator.integers(0, 3)))
        for length in lengths
    ]


@pytest.mark.parametrize("limit", [1, 59, 256, 1024, 10**9])
def test_every_example_once_unchanged_and_within_the_limit(limit: int) -> None:
    rows = examples()
    batches = list(micro_batches(rows, limit, PADDING_ID))
    assert sorted(int(index) for batch in batches for index in batch.index) == list(range(len(rows)))
    for batch in batches:
        assert batch.tokens == batch.ids.size
        assert batch.tokens <= limit or len(batch.index) == 1
        assert batch.padding_tokens == int((batch.mask == 0).sum())
        assert all(getattr(batch, name).dtype == np.int64 for name in ("ids", "mask", "position", "label", "index"))
        for place, index in enumerate(batch.index):
            row = rows[int(index)]
            length = len(row.ids)
            assert batch.ids[place].tolist() == row.ids.tolist() + [PADDING_ID] * (batch.ids.shape[1] - length)
            assert batch.mask[place].tolist() == [1] * length + [0] * (batch.ids.shape[1] - length)
            assert (batch.position[place], batch.label[place]) == (row.position, row.label)


def test_sorting_wastes_less_than_the_given_order() -> None:
    rows, limit = examples(), 512
    padding = sum(batch.padding_tokens for batch in micro_batches(rows, limit, PADDING_ID))
    size = limit // max(len(row.ids) for row in rows)
    groups = [rows[start : start + size] for start in range(0, len(rows), size)]
    naive = sum(
        max(len(row.ids) for row in group) * len(group) - sum(len(row.ids) for row in group) for group in groups
    )
    assert padding < naive / 5


def test_equal_input_gives_equal_batches() -> None:
    def flat(batches: list[Batch]) -> list[list[int]]:
        return [batch.index.tolist() + batch.ids.ravel().tolist() for batch in batches]

    assert flat(list(micro_batches(examples(), 300, 0))) == flat(list(micro_batches(examples(), 300, 0)))


def test_equal_lengths_keep_their_order() -> None:
    rows = [Example(np.arange(4), 3, 0) for _ in range(10)]
    assert [batch.index.tolist() for batch in micro_batches(rows, 16, 0)] == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9]]


def test_no_examples_make_no_batches_and_a_limit_must_be_positive() -> None:
    assert list(micro_batches([], 10, 0)) == []
    with pytest.raises(ValueError, match="token_limit"):
        next(micro_batches(examples(2), 0, 0))
