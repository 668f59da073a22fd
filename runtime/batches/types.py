"""What one call of a graph is fed, and what makes such batches; whatever the rows are."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt

Integers = npt.NDArray[np.int64]


class Layers(Protocol):
    """An input of a graph with the layers of the model as its first axis, of which one layer can be had at a time."""

    @property
    def dtype(self) -> np.dtype[Any]:
        """Of its values."""
        ...

    @property
    def shape(self) -> tuple[int, ...]:
        """Of all layers."""
        ...

    def fill(self, layer: int, into: npt.NDArray[Any]) -> None:
        """Writes what ``layer`` reads to ``into``, of the shape of one layer."""
        ...

    def whole(self) -> npt.NDArray[Any]:
        """All layers in one array."""
        ...


@dataclass(frozen=True)
class Work:
    """What a call of a graph costs, in the units of its feeder, of one side.

    Attributes:
        computed: units that are computed, padding included.
        padding: how many of them are padding.
        cached: units that are read from a cache instead, padding included.
        cached_padding: how many of them are padding.
    """

    computed: int = 0
    padding: int = 0
    cached: int = 0
    cached_padding: int = 0

    def __add__(self, other: Work) -> Work:
        return Work(
            self.computed + other.computed,
            self.padding + other.padding,
            self.cached + other.cached,
            self.cached_padding + other.cached_padding,
        )


@dataclass(frozen=True, eq=False)
class Batch:
    """Rows for one call of a graph.

    Attributes:
        arrays: graph input -> array; everything but the state, the noise and ``layered``.
        index: [B] each row's place among the rows that were asked for.
        work: what the call costs.
        layered: graph input -> its layers.
    """

    arrays: Mapping[str, npt.NDArray[Any]]
    index: Integers
    work: Work
    layered: Mapping[str, Layers] = field(default_factory=dict)

    @property
    def feeds(self) -> dict[str, npt.NDArray[Any]]:
        """``arrays`` and ``layered`` as whole arrays, which are copied at each use."""
        return {**self.arrays, **{name: layers.whole() for name, layers in self.layered.items()}}


class Feeder(Protocol):
    """What graphs are fed: decided by its implementations and nowhere else."""

    @property
    def unit(self) -> str:
        """What batches are measured in, such as "tokens"."""
        ...

    def __len__(self) -> int:
        """How many rows there are."""
        ...

    def batches(self, indices: Sequence[int] | Integers, limit: int) -> Iterator[Batch]:
        """Every row of ``indices`` exactly once, in batches of at most ``limit`` computed units a side."""
        ...


@runtime_checkable
class CoupledFeeder(Feeder, Protocol):
    """A feeder whose loss couples the rows of a step, so that no limit may split them: it says which they are."""

    # Tells it from other feeders.
    coupled: Literal[True]

    def group(self, seed: int, step: int, batch_size: int) -> Integers:
        """The rows of step ``step`` (0-based) of a run, which follow from the run's ``seed`` and the step alone."""
        ...
