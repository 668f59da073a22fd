"""Micro-batches hold every example once, within the limit, and pad on the right."""

from __future__ import annotations

import numpy as np
import pytest

from seedtune.runtime.data.batches import Example, micro_batches

PADDING_ID = 7


def examples(count: int = 200, seed: int = 11) -> list[Example]:
    generator = np.random.default_rng(seed)
    lengths = generator.integers(1, 60, count)
    return [
        Example(generator.integers(10, 99, length).astype(np.int64), int(length) - 1, int(generator.integers(0, 3)))
        for length in lengths
    ]


def test_sorting_wastes_less_than_the_given_order() -> None:
    rows, limit = examples(), 512
    padding = sum(batch.padding_tokens for batch in micro_batches(rows, limit, PADDING_ID))
    size = limit // max(len(row.ids) for row in rows)
    groups = [rows[start : start + size] for start in range(0, len(rows), size)]
    naive = sum(
        max(len(row.ids) for row in group) * len(group) - sum(len(row.ids) for row in group) for group in groups
    )
    assert padding < naive / 5


def test_no_examples_make_no_batches_and_a_limit_must_be_positive() -> None:
    assert list(micro_batches([], 10, 0)) == []
    with pytest.raises(ValueError, match="token_limit"):
        next(micro_batches(examples(2), 0, 0))
