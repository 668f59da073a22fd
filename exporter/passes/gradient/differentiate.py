"""Walks the nodes between what is trained and a loss from the loss backwards, and adds up cotangents on the way."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import onnx_ir as ir

from seedtune.exporter.passes.emitter import Emitter
from seedtune.exporter.passes.gradient.backward import Backward, NoRule
from seedtune.exporter.passes.gradient.pieces import Pieces
from seedtune.exporter.passes.gradient.rules import FLAT, ONLY_TYPE, RULES
from seedtune.exporter.passes.gradient.sizes import integer
from seedtune.exporter.passes.gradient.slices import split

FLOATING = {ir.DataType.FLOAT, ir.DataType.FLOAT16, ir.DataType.BFLOAT16, ir.DataType.DOUBLE}


def differentiate(
    emit: Emitter, nodes: Sequence[ir.Node], seeds: Mapping[ir.Value, ir.Value], trained: ir.Value
) -> ir.Value:
    """The cotangent of ``trained``, made of nodes that ``emit`` collects.

    Args:
        emit: of the graph of ``nodes``.
        nodes: in topological order, all that lie between ``trained`` and the values of ``seeds``.
        seeds: value -> its cotangent, in its shape.
        trained: float32, one dimension of a known size if slices of it are read.

    Raises:
        NoRule: a node on the way cannot be differentiated, or nothing leads from ``trained`` to ``seeds``.
    """
    back = Backward(emit)
    leading = _depending_on(trained, nodes)
    waiting = {value: [cotangent] for value, cotangent in seeds.items()}
    pieces = Pieces(back, trained)
    for node in reversed(nodes):
        found = [_taken(back, waiting, output) for output in node.outputs]
        wanted = [value in leading for value in node.inputs]
        if not any(wanted) or all(cotangent is None for cotangent in found):
            continue
        _require_float32(node, leading)
        if node.op_type == "Split" and not node.domain:
            waiting.setdefault(_first(node), []).append(split(back, node, found))
            continue
        if found[0] is None or (found[0] is not None and pieces.took(node, found[0])):
            continue
        rule = None if node.domain else RULES.get(node.op_type)
        if rule is None:
            raise NoRule(f"{node.domain}.{node.op_type}" if node.domain else node.op_type)
        for place, (value, pull) in enumerate(zip(node.inputs, rule(back, node, found[0]), strict=True)):
            if value is not None and value in leading and place != ONLY_TYPE.get(node.op_type):
                if pull is None:
                    raise NoRule(f"{node.op_type} with an operand that depends on the state")
                waiting.setdefault(value, []).append(pull())
    return pieces.joined(_taken(back, waiting, trained))


def _first(node: ir.Node) -> ir.Value:
    assert node.inputs[0] is not None
    return node.inputs[0]


def _taken(back: Backward, waiting: dict[ir.Value, list[ir.Value]], value: ir.Value) -> ir.Value | None:
    """The sum of the cotangents that came together for ``value``, which are forgotten."""
    parts = waiting.pop(value, [])
    total = parts[0] if parts else None
    for part in parts[1:]:
        total = back.op("Add", total, part)
    return total


def _depending_on(trained: ir.Value, nodes: Sequence[ir.Node]) -> set[ir.Value]:
    """``trained``, and all values that a small change of it changes a little."""
    found = {trained}
    for node in nodes:
        flat = node.op_type in FLAT or (node.op_type == "Cast" and integer(node, "to", 1) not in FLOATING)
        if not flat and any(value in found for value in _reads(node)):
            found.update(output for output in node.outputs if output.dtype is None or output.dtype in FLOATING)
            if node.op_type == "TopK":
                found.discard(node.outputs[1])
    return found


def _reads(node: ir.Node) -> Iterator[ir.Value]:
    """What ``node`` reads, and what its inner graphs read."""
    unread = ONLY_TYPE.get(node.op_type)
    yield from (value for place, value in enumerate(node.inputs) if value is not None and place != unread)
    for attribute in node.attributes.values():
        if attribute.type == ir.AttributeType.GRAPH:
            for inner in ir.traversal.RecursiveGraphIterator(attribute.as_graph()):
                yield from (value for value in inner.inputs if value is not None)


def _require_float32(node: ir.Node, leading: set[ir.Value]) -> None:
    if node.op_type != "Cast":
        for value in (*node.inputs, *node.outputs):
            if value in leading and value is not None and value.dtype not in (None, ir.DataType.FLOAT):
                raise NoRule(f"{node.op_type} in {value.dtype.name.lower() if value.dtype else 'an unknown type'}")
