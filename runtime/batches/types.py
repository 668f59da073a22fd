"""What one call of a graph is fed, and what makes such batches; whatever the rows are."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

Integers = npt.NDArray[np.int64]


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
    def examples(self) -> Sequence[Any]:
        """All rows."""
        ...

    def batches(self, indices: Sequence[int] | Integers, token_limit: int) -> Iterator[Batch]:
        """Every example of ``indices`` exactly once, in batches of at most ``token_limit`` computed tokens a side."""
        ...
