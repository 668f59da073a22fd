"""One call of one graph, for whoever compares it with something else."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from seedtune.runtime.batches.types import Batch
from seedtune.runtime.bundle.reader import Bundle
from seedtune.runtime.graphs.mapped import MappedGraphs
from seedtune.runtime.graphs.types import Array
from seedtune.runtime.model.feeders import open_feeder
from seedtune.runtime.task.example import Example


def single_batch(bundle: Bundle, examples: Sequence[Example], limit: int) -> Batch:
    """All ``examples`` in one batch, in the order that ``Batch.index`` says.

    Args:
        bundle: verified.
        examples: the rows.
        limit: tokens, padding included, that they have at most.
    """
    (batch,) = open_feeder(MappedGraphs(bundle), examples).batches(range(len(examples)), limit)
    return batch


def outputs_of_each(
    bundle: Bundle, graph: str, name: str, examples: Sequence[Example], shared: Mapping[str, Array]
) -> list[Array]:
    """The output ``name`` of ``graph`` for each of ``examples`` in a batch of its own."""
    graphs = MappedGraphs(bundle)
    feeder = open_feeder(graphs, examples)
    alone = (batch for place in range(len(examples)) for batch in feeder.batches([place], 1))
    return [found for _, (found,) in graphs.open(graph).run([name], alone, shared)]


def outputs_of(
    bundle: Bundle, graph: str, names: Sequence[str], batch: Batch, shared: Mapping[str, Array]
) -> list[Array]:
    """The outputs ``names`` of ``graph`` for ``batch``; the session ends with the call."""
    ((_, found),) = MappedGraphs(bundle).open(graph).run(names, [batch], shared)
    return found
