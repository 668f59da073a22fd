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
    """:class:`~seedtune.runtime.graphs.types.Graphs` without a limit.

    Args:
        bundle: verified.
        threads: of ONNX Runtime; None for all processors.
        keep: open each graph once, and keep it; else it lives as long as whoever asked for it has it.
    """

    choice = None
    reading = Reading()

    def __init__(self, bundle: Bundle, threads: int | None = None, *, keep: bool = False) -> None:
        self.bundle = bundle
        self.threads = threads
        self._kept: dict[str, MappedGraph] | None = {} if keep else None

    def open(self, name: str) -> MappedGraph:
        """See :class:`~seedtune.runtime.graphs.types.Graphs`."""
        if self._kept is None:
            return MappedGraph(self.bundle.graph_path(name), self.threads)
        if name not in self._kept:
            self._kept[name] = MappedGraph(self.bundle.graph_path(name), self.threads)
        return self._kept[name]
