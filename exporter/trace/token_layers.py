"""Which linear layers read token rows, and so can carry a state: one row of theirs is one token of the batch.

Others read something that all rows share, such as DeBERTa's table of relative positions. Their rows belong to no side
of a perturbation, so a change of their weights cannot be told apart by rows.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import onnx_ir as ir

from seedtune.exporter.passes.linear_layout import Linear


def off_tokens(graph: ir.Graph, linears: Sequence[Linear]) -> set[str]:
    """Names of the layers that read, in one of their applications at least, what does not depend on the tokens.

    Args:
        graph: with the input ``ids``, or ``entering`` where it begins at a later layer.
        linears: what `normalise_linears` returned for this graph.
    """
    tokens = next(value for value in graph.inputs if value.name in ("ids", "entering"))
    dependent = _dependents(graph, tokens)
    return {linear.name for linear in linears if linear.rows not in dependent}


def _dependents(nodes: Iterable[ir.Node], source: ir.Value) -> set[ir.Value]:
    """The values whose numbers follow from those of ``source``, itself included; sizes of it do not count."""
    dependent = {source}
    for node in nodes:
        if node.op_type != "Shape" and any(value in dependent for value in _read(node)):
            dependent.update(node.outputs)
    return dependent


def _read(node: ir.Node) -> Iterable[ir.Value | None]:
    yield from node.inputs
    for attribute in node.attributes.values():
        if attribute.type == ir.AttributeType.GRAPH:
            for inside in attribute.as_graph():
                yield from _read(inside)
