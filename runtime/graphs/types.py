"""Graphs as the rest of the runtime sees them: given batches, they return arrays, however their weights are read."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy.typing as npt

from seedtune.runtime.batches.types import Batch, Integers
from seedtune.runtime.bundle.reader import Bundle

Array = npt.NDArray[Any]


class Graph(Protocol):
    """A graph that is ready to run."""

    @property
    def outputs(self) -> Sequence[str]:
        """The names of what it can return."""
        ...

    def run(
        self, names: Sequence[str], batches: Iterable[Batch], shared: Mapping[str, Array]
    ) -> Iterator[tuple[Integers, list[Array]]]:
        """The places of each batch's rows (``Batch.index``) and the outputs ``names``, in the order of the batches.

        Args:
            names: which outputs.
            batches: taken one by one, or some at once, as memory allows.
            shared: inputs that are the same for all batches (state, seed, epsilon).
        """
        ...


@dataclass(frozen=True)
class MemoryChoice:
    """What fits under a memory limit.

    Attributes:
        limit_bytes: as the user gave it.
        tokens_per_call: of one side of a probe; a graph with one side takes twice as many.
        tokens_in_flight: likewise; for so many, each matrix is read once.
        tokens_per_context_call: that the context graph reads at once.
        buffer_bytes: for streamed matrices.
        layer_calls: for how many calls a layer of cached contexts is in memory: with 2 it is read while the call before
            computes.
        layer_buffer_bytes: for these layers.
        together: whether stages that read no contexts take all rows in flight at once.
        context_tokens_per_call: cached tokens that a call of the probe graph may read.
        expected_bytes: what the process will hold at its peak.
        kept: matrices that stay in memory.
    """

    limit_bytes: int
    tokens_per_call: int
    tokens_in_flight: int
    tokens_per_context_call: int
    buffer_bytes: int
    layer_calls: int = 1
    layer_buffer_bytes: int = 0
    together: bool = False
    context_tokens_per_call: int = 0
    expected_bytes: int = 0
    kept: tuple[str, ...] = field(default=(), repr=False)

    def __str__(self) -> str:
        buffer_mb, limit_mb, expected_mb = (
            f"{size / 1e6:,.0f} MB" for size in (self.buffer_bytes, self.limit_bytes, self.expected_bytes)
        )
        return (
            f"memory limit {limit_mb}: {2 * self.tokens_per_call} token rows a call, weights read once for "
            f"{2 * self.tokens_in_flight:,} of them through a buffer of {buffer_mb}, {len(self.kept)} matrices kept; "
            f"expected peak {expected_mb}"
        )


@dataclass(frozen=True)
class Reading:
    """What streaming has taken since the weights were opened.

    Attributes:
        bytes_read: from the weights file.
        reading_seconds: in which the storage was reading.
        waited_seconds: in which nothing was computed, because weights were still being read.
    """

    bytes_read: int = 0
    reading_seconds: float = 0.0
    waited_seconds: float = 0.0

    def since(self, before: Reading) -> Reading:
        """What came after ``before``."""
        return Reading(
            self.bytes_read - before.bytes_read,
            self.reading_seconds - before.reading_seconds,
            self.waited_seconds - before.waited_seconds,
        )


class Graphs(Protocol):
    """Where the graphs of a bundle come from: mapped whole, or streamed within a memory limit."""

    @property
    def bundle(self) -> Bundle:
        """Whose graphs they are."""
        ...

    @property
    def choice(self) -> MemoryChoice | None:
        """What they keep to; None without a limit."""
        ...

    @property
    def reading(self) -> Reading:
        """What streaming the weights has taken so far; nothing without a limit."""
        ...

    def open(self, name: str) -> Graph:
        """The graph "probe", "eval", or "context" in a bundle with scope "suffix", ready to run."""
        ...
