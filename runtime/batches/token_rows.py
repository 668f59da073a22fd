"""Micro-batches of tokenised rows: rows of similar length together, within limits that bound memory."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from seedtune.runtime.batches.types import Batch, Integers, Work
from seedtune.runtime.task.example import Example


class WholeRows:
    """:class:`~seedtune.runtime.batches.types.Feeder` for graphs that read whole rows (scope "all")."""

    unit = "tokens"

    def __init__(self, examples: Sequence[Example], padding_id: int) -> None:
        self.examples = examples
        self.padding_id = padding_id

    def __len__(self) -> int:
        return len(self.examples)

    def batches(self, indices: Sequence[int] | Integers, limit: int) -> Iterator[Batch]:
        """See :class:`~seedtune.runtime.batches.types.Feeder`; shortest first."""
        chosen = [self.examples[index] for index in indices]
        for group in grouped([(len(example.ids),) for example in chosen], (limit,)):
            rows = [chosen[place] for place in group]
            ids, mask = padded([row.ids for row in rows], self.padding_id)
            feeds = {
                "ids": ids,
                "mask": mask,
                "position": np.array([row.position for row in rows], np.int64),
                "label": np.array([row.label for row in rows], np.int64),
            }
            yield Batch(feeds, group, Work(int(ids.size), int(ids.size - mask.sum())))


def grouped(sizes: Sequence[tuple[int, ...]], limits: tuple[int, ...]) -> Iterator[Integers]:
    """Splits items into groups of similar sizes, smallest first, each item exactly once.

    A group of B items costs ``B * (largest size)`` in each dimension, at most the limit of that dimension. An item
    beyond a limit goes alone. Equal sizes keep their order, so the split depends on the sizes only.

    Args:
        sizes: per item, a size in each dimension.
        limits: per dimension.

    Yields:
        The places of a group's items, [B] int64.

    Raises:
        ValueError: a limit is not positive.
    """
    if min(limits) < 1:
        raise ValueError(f"limits must be positive: {limits}")
    chosen: list[int] = []
    largest = (0,) * len(limits)
    for place in sorted(range(len(sizes)), key=lambda item: sizes[item]):
        grown = tuple(map(max, largest, sizes[place]))
        if chosen and any((len(chosen) + 1) * size > limit for size, limit in zip(grown, limits, strict=True)):
            yield np.array(chosen, np.int64)
            chosen, grown = [], sizes[place]
        chosen.append(place)
        largest = grown
    if chosen:
        yield np.array(chosen, np.int64)


def padded(rows: Sequence[Integers], filler: int) -> tuple[Integers, Integers]:
    """``rows`` as one array [B, T], filled up on the right, and its mask (1 = value)."""
    lengths = np.array([len(row) for row in rows], np.int64)
    mask = (np.arange(lengths.max(initial=0))[None] < lengths[:, None]).astype(np.int64)
    values = np.full(mask.shape, filler, np.int64)
    for place, row in enumerate(rows):
        values[place, : len(row)] = row
    return values, mask
