"""Graphs over weights that ONNX Runtime maps from their file: the system decides what of them stays in memory."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from seedtune.runtime.batches.types import Batch, Integers
from seedtune.runtime.bundle.reader import Bundle
from seedtune.runtime.graphs.session import open_session
from seedtune.runtime.graphs.types import Array, Reading


class MappedGraph:
    """:class:`~seedtune.runtime.graphs.types.Graph` in one session."""

    def __init__(self, path: Path, threads: int | None = None) -> None:
        self.session = open_session(path, threads)
        self.outputs = [output.name for output in self.session.get_outputs()]

    def run(
        self, names: Sequence[str], batches: Iterable[Batch], shared: Mapping[str, Array]
    ) -> Iterator[tuple[Integers, list[Array]]]:
        """See :class:`~seedtune.runtime.graphs.types.Graph`."""
        for batch in batches:
            index = batch.index
            found = self.session.run(list(names), {**batch.feeds, **shared})
            # Else its memory would be taken until the next one is there.
            del batch
            yield index, found
            del found


class MappedGraphs:
    """:class:`~seedtune.runtime.graphs.types.Graphs` without a limit; ``threads`` of ONNX Runtime, None for all."""

    choice = None
    reading = Reading()

    def __init__(self, bundle: Bundle, threads: int | None = None) -> None:
        self.bundle = bundle
        self.threads = threads

    def open(self, name: str) -> MappedGraph:
        """See :class:`~seedtune.runtime.graphs.types.Graphs`."""
        return MappedGraph(self.bundle.graph_path(name), self.threads)
