"""Graphs as the rest of the runtime sees them: given batches, they return arrays, however their weights are read."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy.typing as npt

from seedtune.runtime.batches.types import Batch, Integers
from seedtune.runtime.graphs.session import open_session

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


class MappedGraph:
    """:class:`Graph` in one session, over weights that ONNX Runtime maps from their file."""

    def __init__(self, path: Path, threads: int | None = None) -> None:
        self.session = open_session(path, threads)
        self.outputs = [output.name for output in self.session.get_outputs()]

    def run(
        self, names: Sequence[str], batches: Iterable[Batch], shared: Mapping[str, Array]
    ) -> Iterator[tuple[Integers, list[Array]]]:
        """See :class:`Graph`."""
        for batch in batches:
            index = batch.index
            found = self.session.run(list(names), {**batch.feeds, **shared})
            # Else its memory would be taken until the next one is there.
            del batch
            yield index, found
            del found
