"""Micro-batches: rows of similar length together, within limits that bound memory."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

Integers = npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Example:
    """A tokenised, labelled row.

    Attributes:
        ids: [T] int64.
        position: the token whose hidden state says the label word.
        label: its place in the task.
        suffix: [S] int64, the places of the tokens where the state acts, ascending, ``position`` among them; None
            where the task is not split.
        targets: [S] int64, of a completion task: the token that is to follow each token of the suffix.
    """

    ids: Integers
    position: int
    label: int
    suffix: Integers | None = None
    targets: Integers | None = None


class Layers(Protocol):
    """An input of a graph with the layers of the model as its first axis, of which one layer can be had at a time."""

    def __getitem__(self, layer: int) -> npt.NDArray[Any]:
        """What the layer reads."""
        ...

    def whole(self) -> npt.NDArray[Any]:
        """All layers in one array."""
        ...


@dataclass(frozen=True, eq=False)
class Batch:
    """Rows for one call of a graph.

    Attributes:
        arrays: graph input -> array; everything but the state, the noise and ``layered``.
        index: [B] each row's place among the examples that were asked for.
        tokens: tokens of one side that the call computes, padding included.
        padding_tokens: how many of them are padding.
        prefix_tokens: tokens whose keys and values are read from a cache, padding included.
        prefix_padding_tokens: how many of them are padding.
        layered: graph input -> its layers.
    """

    arrays: Mapping[str, npt.NDArray[Any]]
    index: Integers
    tokens: int
    padding_tokens: int
    prefix_tokens: int = 0
    prefix_padding_tokens: int = 0
    layered: Mapping[str, Layers] = field(default_factory=dict)

    @property
    def feeds(self) -> dict[str, npt.NDArray[Any]]:
        """``arrays`` and ``layered`` as whole arrays, which are copied at each use."""
        return {**self.arrays, **{name: layers.whole() for name, layers in self.layered.items()}}


class Feeder(Protocol):
    """What graphs are fed: decided by its implementations and nowhere else."""

    @property
    def examples(self) -> Sequence[Example]:
        """All rows."""
        ...

    def batches(self, indices: Sequence[int] | Integers, token_limit: int) -> Iterator[Batch]:
        """Every example of ``indices`` exactly once, in batches of at most ``token_limit`` computed tokens a side."""
        ...


class WholeRows:
    """:class:`Feeder` for graphs that read whole rows (scope "all")."""

    def __init__(self, examples: Sequence[Example], padding_id: int) -> None:
        self.examples = examples
        self.padding_id = padding_id

    def batches(self, indices: Sequence[int] | Integers, token_limit: int) -> Iterator[Batch]:
        """See :class:`Feeder`; shortest first."""
        chosen = [self.examples[index] for index in indices]
        for group in grouped([(len(example.ids),) for example in chosen], (token_limit,)):
            rows = [chosen[place] for place in group]
            ids, mask = padded([row.ids for row in rows], self.padding_id)
            feeds = {
                "ids": ids,
                "mask": mask,
                "position": np.array([row.position for row in rows], np.int64),
                "label": np.array([row.label for row in rows], np.int64),
            }
            yield Batch(feeds, group, int(ids.size), int(ids.size - mask.sum()))


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
