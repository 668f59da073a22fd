"""How much memory the stages of a graph need for a batch of any size, so that a runtime can choose one that fits.

The sizes of all values are inferred for a few batches and added up: what waits at a border between two stages, and what
a stage holds at its worst while it runs. Both are sums of terms in tokens, length and context; their factors come
of these few batches. The worst stage may be another one for another size; the batches lie far apart, so that a size
between them is over-estimated rather than under-estimated.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import onnx_ir as ir

from seedtune.exporter.stages.border import users_of
from seedtune.exporter.stages.types import Inferred
from seedtune.runtime.bundle.stage_plan import BatchBytes, GraphMemory

# (rows, tokens of a row, tokens of its context)
WHOLE_ROWS = ((1, 16, 0), (1, 512, 0), (8, 64, 0))
SUFFIXES = ((1, 4, 16), (1, 64, 16), (1, 4, 512), (1, 64, 512), (8, 16, 64))


def batches_to_infer(model: ir.Model, max_positions: int) -> list[dict[str, int]]:
    """The sizes that :func:`measure` wants to know the values of ``model`` for."""
    return [dict(zip(("batch", "tokens", "context"), point, strict=True)) for point in _points(model, max_positions)]


def measure(
    model: ir.Model,
    stages: Mapping[ir.Node, int],
    inferred: Sequence[Mapping[str, Inferred]],
    max_positions: int,
) -> GraphMemory:
    """The memory of a graph.

    Args:
        model: the graph.
        stages: node -> stage.
        inferred: for `batches_to_infer`.
        max_positions: tokens that a row may have.
    """
    points = _points(model, max_positions)
    sizes = [{name: kind.size_bytes for name, kind in found.items()} for found in inferred]
    held = [max(_waiting(stages, found)) for found in sizes]
    running = [max(_worst_of_stages(stages, found)) for found in sizes]
    return GraphMemory(_fitted(points, held), _fitted(points, running))


def _points(model: ir.Model, max_positions: int) -> tuple[tuple[int, int, int], ...]:
    points = SUFFIXES if any(value.name == "context_length" for value in model.graph.inputs) else WHOLE_ROWS
    # Beyond that the tables of the model end, and with them the shapes that can be inferred.
    return tuple((batch, min(tokens, max_positions), min(context, max_positions)) for batch, tokens, context in points)


def _waiting(stages: Mapping[ir.Node, int], sizes: Mapping[str, int]) -> list[int]:
    """Bytes of the values that cross the border behind each stage."""
    users = users_of(stages)
    waiting = [0] * (max(stages.values()) + 1)
    for node, stage in stages.items():
        for output in node.outputs:
            last = max((stages[user] for user in users.get(output, ())), default=stage)
            for border in range(stage, last):
                waiting[border] += sizes[output.name or ""]
    return waiting


def _worst_of_stages(stages: Mapping[ir.Node, int], sizes: Mapping[str, int]) -> list[int]:
    """Per stage, the most bytes of values made in it that are alive at once, each freed after its last reader."""
    members: dict[int, list[ir.Node]] = {}
    for node, stage in stages.items():
        members.setdefault(stage, []).append(node)
    users = users_of(stages)
    worst = []
    for stage, nodes in members.items():
        place = {node: number for number, node in enumerate(nodes)}
        alive = most = 0
        frees: dict[int, int] = {}
        for number, node in enumerate(nodes):
            made = sum(sizes[output.name or ""] for output in node.outputs)
            alive += made
            most = max(most, alive)
            for output in node.outputs:
                readers = users.get(output, ())
                if all(stages[user] == stage for user in readers) and not output.is_graph_output():
                    last = max((place[user] for user in readers), default=number)
                    frees[last] = frees.get(last, 0) + sizes[output.name or ""]
            alive -= frees.pop(number, 0)
        worst.append(most)
    return worst


def _fitted(points: Sequence[tuple[int, int, int]], found: Sequence[int]) -> BatchBytes:
    """The factors that give ``found`` at ``points``; terms without effect at these points are 0."""
    terms = np.array([(1, b * t, b * t * t, b * t * p, b * p) for b, t, p in points], np.float64)
    used = terms.any(axis=0)
    factors = np.zeros(terms.shape[1])
    factors[used] = np.linalg.lstsq(terms[:, used], np.array(found, np.float64), rcond=None)[0].clip(min=0)
    return BatchBytes(*(round(float(factor), 3) for factor in factors))
