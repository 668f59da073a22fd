"""Grouping by size, against brute force, and padding, against plain lists."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from seedtune.runtime.batches.token_rows import grouped, padded

Sizes = list[tuple[int, ...]]


def random_sizes(count: int, seed: int, dimensions: int = 1, longest: int = 30) -> Sizes:
    generator = np.random.default_rng(seed)
    return [tuple(row) for row in generator.integers(0, longest + 1, (count, dimensions)).tolist()]


def cost(group: np.ndarray, sizes: Sizes) -> tuple[int, ...]:
    """What a group costs in each dimension, by its definition."""
    return tuple(len(group) * max(column) for column in zip(*(sizes[place] for place in group), strict=True))


CASES = [
    (1, (1,)),
    (1, (29,)),
    (1, (64,)),
    (1, (10_000,)),
    (2, (1, 1)),
    (2, (40, 90)),
    (2, (10_000, 50)),
    (3, (60,) * 3),
]


@pytest.mark.parametrize(("dimensions", "limits"), CASES)
@pytest.mark.parametrize("count", [0, 1, 2, 57])
def test_every_item_comes_exactly_once(dimensions: int, limits: tuple[int, ...], count: int) -> None:
    groups = list(grouped(random_sizes(count, count, dimensions), limits))
    assert sorted(place for group in groups for place in group.tolist()) == list(range(count))
    assert all(len(group) and group.dtype == np.int64 for group in groups)


@pytest.mark.parametrize(("dimensions", "limits"), CASES)
def test_limits_are_kept_but_for_an_item_that_is_beyond_one_alone(dimensions: int, limits: tuple[int, ...]) -> None:
    sizes = random_sizes(120, 1, dimensions)
    for group in grouped(sizes, limits):
        within = all(spent <= limit for spent, limit in zip(cost(group, sizes), limits, strict=True))
        assert within or len(group) == 1


@pytest.mark.parametrize("dimension", [0, 1])
def test_an_oversized_item_goes_alone_and_spoils_no_other_group(dimension: int) -> None:
    sizes: Sizes = [(3, 3)] * 4
    sizes.insert(2, (99, 3) if dimension == 0 else (3, 99))
    groups = [group.tolist() for group in grouped(sizes, (12, 12))]
    assert groups == [[0, 1, 3, 4], [2]]


def test_an_oversized_item_in_the_middle_of_the_order_goes_alone() -> None:
    """The second dimension does not decide the order, so what is beyond its limit has smaller ones behind it."""
    sizes: Sizes = [(1, 2), (2, 99), (3, 2), (3, 2)]
    assert [group.tolist() for group in grouped(sizes, (100, 10))] == [[0], [1], [2, 3]]


def test_items_come_smallest_first_and_equal_ones_in_their_order() -> None:
    sizes = random_sizes(90, 3, 2, longest=4)
    order = [place for group in grouped(sizes, (30, 30)) for place in group.tolist()]
    assert order == sorted(range(len(sizes)), key=lambda place: (*sizes[place], place))
    assert [group.tolist() for group in grouped([(4,)] * 7, (12,))] == [[0, 1, 2], [3, 4, 5], [6]]


def test_no_group_would_have_held_the_next_item_too() -> None:
    sizes, limits = random_sizes(80, 4, 2), (90, 120)
    groups = list(grouped(sizes, limits))
    assert len(groups) > 3
    for group, following in itertools.pairwise(groups):
        grown = cost(np.append(group, following[0]), sizes)
        assert any(spent > limit for spent, limit in zip(grown, limits, strict=True))


def test_sizes_of_nothing_cost_nothing() -> None:
    assert [group.tolist() for group in grouped([(0, 1)] * 5, (1, 100))] == [[0, 1, 2, 3, 4]]
    assert [group.tolist() for group in grouped([(0,)] * 3, (1,))] == [[0, 1, 2]]


@pytest.mark.parametrize("limits", [(0,), (-1,), (5, 0), (0, 5)])
@pytest.mark.parametrize("count", [0, 3])
def test_a_limit_below_one_is_refused(limits: tuple[int, ...], count: int) -> None:
    with pytest.raises(ValueError, match="limits must be positive"):
        list(grouped([(1,) * len(limits)] * count, limits))


def test_sorting_wastes_less_than_the_given_order() -> None:
    sizes, limit = random_sizes(200, 11, longest=60), 512
    spent = sum(cost(group, sizes)[0] for group in grouped(sizes, (limit,)))
    needed = sum(size for (size,) in sizes)
    at_once = limit // max(size for (size,) in sizes)
    naive = sum(cost(np.arange(start, min(start + at_once, 200)), sizes)[0] for start in range(0, 200, at_once))
    assert spent - needed < (naive - needed) / 5


@pytest.mark.parametrize("lengths", [[3], [1, 4, 2], [0, 2], [0], [5, 5]])
def test_rows_are_padded_on_the_right_and_the_mask_says_where(lengths: list[int]) -> None:
    rows = [np.arange(10 * index, 10 * index + length) for index, length in enumerate(lengths)]
    values, mask = padded(rows, 77)
    longest = max(lengths)
    assert values.dtype == mask.dtype == np.int64
    assert values.tolist() == [row.tolist() + [77] * (longest - len(row)) for row in rows]
    assert mask.tolist() == [[1] * len(row) + [0] * (longest - len(row)) for row in rows]


def test_no_rows_pad_to_nothing() -> None:
    values, mask = padded([], 0)
    assert values.shape == mask.shape == (0, 0)
