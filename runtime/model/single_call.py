"""Calls of graphs one by one, for whoever compares them with something else."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from seedtune.runtime.batches.types import Batch
from seedtune.runtime.bundle.reader import Bundle
from seedtune.runtime.graphs.mapped import MappedGraphs
from seedtune.runtime.graphs.types import Array
from seedtune.runtime.model.feeders import open_feeder
from seedtune.runtime.task.example import Example


class SingleCalls:
    """The graphs of ``bundle``, which is verified; each is opened when it is first called, and kept."""

    def __init__(self, bundle: Bundle) -> None:
        self.bundle = bundle
        self._graphs = MappedGraphs(bundle, keep=True)

    def batch(self, examples: Sequence[Example], limit: int) -> Batch:
        """All ``examples`` in one batch, in the order that ``Batch.index`` says.

        Args:
            examples: the rows.
            limit: tokens, padding included, that they have at most.
        """
        (batch,) = open_feeder(self._graphs, examples).batches(range(len(examples)), limit)
        return batch

    def outputs(self, graph: str, names: Sequence[str], batch: Batch, shared: Mapping[str, Array]) -> list[Array]:
        """The outputs ``names`` of ``graph`` for ``batch``."""
        ((_, found),) = self._graphs.open(graph).run(names, [batch], shared)
        return found

    def output_of_each(
        self, graph: str, name: str, examples: Sequence[Example], shared: Mapping[str, Array]
    ) -> list[Array]:
        """The output ``name`` of ``graph`` for each of ``examples`` in a batch of its own."""
        feeder = open_feeder(self._graphs, examples)
        alone = (batch for place in range(len(examples)) for batch in feeder.batches([place], 1))
        return [found for _, (found,) in self._graphs.open(graph).run([name], alone, shared)]
