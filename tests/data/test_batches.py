"""What graphs of scope "all" are fed, against plain lists."""

from __future__ import annotations

import numpy as np
import pytest

from seedtune.runtime.batches.token_rows import WholeRows
from seedtune.runtime.batches.types import Batch
from seedtune.runtime.task.example import Example

PADDING = 99
FEEDS = {"ids", "mask", "position", "label"}


def examples(count: int, seed: int, longest: int = 30) -> list[Example]:
    generator = np.random.default_rng(seed)
    made = []
    for _ in range(count):
        ids = generator.integers(0, 90, generator.integers(1, longest + 1))
        made.append(Example(ids.astype(np.int64), int(generator.integers(len(ids))), int(generator.integers(2))))
    return made


def split(rows: list[Example], limit: int) -> list[Batch]:
    return list(WholeRows(rows, PADDING).batches(range(len(rows)), limit))


@pytest.mark.parametrize("limit", [1, 29, 30, 64, 200, 10_000])
@pytest.mark.parametrize("count", [0, 1, 2, 57])
def test_every_row_comes_exactly_once_whole_and_padded_on_the_right(count: int, limit: int) -> None:
    rows = examples(count, seed=count)
    seen: list[int] = []
    for batch in split(rows, limit):
        assert set(batch.feeds) == FEEDS
        ids, mask = batch.feeds["ids"], batch.feeds["mask"]
        assert ids.shape == mask.shape
        for place, index in enumerate(batch.index.tolist()):
            seen.append(index)
            row = rows[index]
            length = len(row.ids)
            assert ids[place].tolist() == row.ids.tolist() + [PADDING] * (ids.shape[1] - length)
            assert mask[place].tolist() == [1] * length + [0] * (ids.shape[1] - length)
            assert batch.feeds["position"][place] == row.position
            assert batch.feeds["label"][place] == row.label
    assert sorted(seen) == list(range(count))


@pytest.mark.parametrize("chosen", [[3, 1, 4], [5, 5, 5], [], [9]])
def test_index_is_the_place_among_what_was_asked_for(chosen: list[int]) -> None:
    rows = examples(10, seed=8)
    for indices in (chosen, np.array(chosen, np.int64)):
        for batch in WholeRows(rows, PADDING).batches(indices, 40):
            for place, index in enumerate(batch.index.tolist()):
                row = rows[chosen[index]]
                assert batch.feeds["ids"][place, : len(row.ids)].tolist() == row.ids.tolist()
        seen = [index for batch in WholeRows(rows, PADDING).batches(indices, 40) for index in batch.index.tolist()]
        assert sorted(seen) == list(range(len(chosen)))


@pytest.mark.parametrize("limit", [1, 29, 30, 64, 200])
def test_the_limit_is_kept_but_for_a_row_that_is_longer_alone(limit: int) -> None:
    for batch in split(examples(80, seed=2), limit):
        assert batch.work.computed == batch.feeds["ids"].size
        assert batch.work.computed <= limit or len(batch.index) == 1


def test_padding_is_counted_and_no_context_is() -> None:
    for batch in split(examples(40, seed=4), 64):
        assert batch.work.padding == sum(value == 0 for row in batch.feeds["mask"].tolist() for value in row)
        assert (batch.work.cached, batch.work.cached_padding) == (0, 0)


def test_a_limit_that_holds_all_makes_one_batch() -> None:
    assert len(split(examples(20, seed=5), 10_000)) == 1


def test_the_split_depends_on_the_rows_only() -> None:
    for first, second in zip(split(examples(50, seed=6), 90), split(examples(50, seed=6), 90), strict=True):
        assert np.array_equal(first.index, second.index)
        for name in FEEDS:
            assert np.array_equal(first.feeds[name], second.feeds[name])


def test_equal_lengths_keep_their_order() -> None:
    rows = [Example(np.full(4, k), 3, 0) for k in range(10)]
    assert [index for batch in split(rows, 12) for index in batch.index] == list(range(10))


def test_every_array_is_of_the_type_that_a_graph_takes() -> None:
    batch = split(examples(5, seed=7), 1000)[0]
    for array in (batch.index, *batch.feeds.values()):
        assert array.dtype == np.int64


@pytest.mark.parametrize("limit", [0, -1])
def test_a_limit_below_one_is_refused(limit: int) -> None:
    with pytest.raises(ValueError, match="positive"):
        split(examples(2, seed=1), limit)
