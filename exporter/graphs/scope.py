"""The two kinds of graph: state at every token of a row (scope "all"), or at some of them with a context in a cache.

A graph builder asks here for its inputs and its scores, and is otherwise the same for both.
"""

from __future__ import annotations

import onnx_ir as ir

from seedtune.exporter.passes.context_storage import load
from seedtune.exporter.passes.emitter import Emitter, input_named
from seedtune.exporter.passes.perturbed_rows import signs_of_doubled_rows, signs_of_doubled_tokens
from seedtune.exporter.passes.suffix_rows import present_suffix
from seedtune.exporter.passes.two_sided import double_rows
from seedtune.exporter.trace.traced import Traced


def one_side(graph: ir.Graph, traced: Traced, *, every_token: bool = False) -> None:
    """Gives a clone of the trunk the inputs of a graph without perturbation; see :func:`two_sides`."""
    if traced.context is not None:
        present_suffix(graph, traced.family, 1, every_token=every_token)
        load(graph, traced.context)


def two_sides(graph: ir.Graph, traced: Traced, epsilon: ir.Value, *, every_token: bool = False) -> ir.Value:
    """Gives a clone of the trunk the inputs of a graph with both sides, and returns the sign of each token row.

    Args:
        graph: its linears are in 2-D row layout.
        traced: what it is a clone of.
        epsilon: half the distance between the sides, [1] float32.
        every_token: score every token of the suffix, not one; for scope "suffix" only.
    """
    if traced.context is None:
        ids = input_named(graph, "ids")
        double_rows(graph)
        return signs_of_doubled_rows(graph, ids, epsilon)
    present_suffix(graph, traced.family, 2, every_token=every_token)
    load(graph, traced.context)
    return signs_of_doubled_tokens(graph, input_named(graph, "mask"), epsilon)


def by_side(graph: ir.Graph, traced: Traced, scored: ir.Value, width: int) -> ir.Value:
    """``scored`` as [sides * B, width], the plus side first, whichever way the scope lays out its sides."""
    if traced.context is None:
        return scored
    emit = Emitter(graph)
    flat = emit.op("Reshape", emit.op("Transpose", scored, perm=[1, 0, 2]), emit.integers(-1, width))
    emit.append()
    return flat


def pair_shape(graph: ir.Graph, traced: Traced) -> ir.Value:
    """[a, 2, b], int64: into which the token rows of a graph by :func:`two_sides` can be reshaped, side second."""
    emit = Emitter(graph)
    if traced.context is None:
        return emit.integers(1, 2, -1)
    tokens = emit.op("Shape", input_named(graph, "mask"), start=1, end=2)
    shape = emit.op("Concat", emit.integers(-1, 2), tokens, axis=0)
    emit.prepend()
    return shape
