"""Rules of operators that pick elements by index, and of those that put them there.

A cotangent of what was picked is added up where it came from: an index may stand there twice. ScatterElements adds in
order; of ScatterND, which GatherND would need, ONNX promises nothing for an index that stands there twice.
"""

from __future__ import annotations

from collections.abc import Sequence

import onnx_ir as ir

from seedtune.exporter.passes.gradient.backward import Backward, NoRule, Pull, Rule
from seedtune.exporter.passes.gradient.sizes import integer, integers_of


def _gather(back: Backward, node: ir.Node, g: ir.Value) -> Sequence[Pull | None]:
    """Cases: 1. one place, given as a number: zeros around it  2. else scattered along the axis."""
    x, indices = node.inputs
    assert x is not None
    assert indices is not None
    rank = back.rank(x, node)
    axis = integer(node, "axis", 0) % rank
    place, sizes = integers_of(indices), back.sizes.of(x)
    size = sizes[axis] if sizes is not None else None
    if place is not None and back.sizes.rank(indices) == 0 and isinstance(size, int):

        def pull_one() -> ir.Value:
            at = place[0] % size
            alone = back.op("Unsqueeze", g, back.axes(axis))
            if size == 1:
                return alone
            around = [0] * (2 * rank)
            around[axis], around[rank + axis] = at, size - at - 1
            return back.op("Pad", alone, back.axes(*around), back.number(0.0))

        return [pull_one, None]

    def pull() -> ir.Value:
        shape = back.op("Shape", x)
        parts = [back.axes(-1)]
        if axis:
            parts.insert(0, back.op("Slice", shape, back.axes(0), back.axes(axis)))
        if axis + 1 < rank:
            parts.append(back.op("Slice", shape, back.axes(axis + 1), back.axes(rank)))
        flat = back.op("Reshape", g, back.op("Concat", *parts, axis=0))
        column = back.op("Reshape", indices, back.axes(*(-1 if at == axis else 1 for at in range(rank))))
        everywhere = back.op("Expand", column, back.op("Shape", flat))
        return _added(back, x, everywhere, flat, axis)

    return [pull, None]


def _added(back: Backward, x: ir.Value, indices: ir.Value, g: ir.Value, axis: int) -> ir.Value:
    """Zeros in the shape of ``x`` with ``g`` added at ``indices`` along ``axis``."""
    return back.op("ScatterElements", back.zeros_like(x), indices, g, axis=axis, reduction="add")


def _gather_elements(back: Backward, node: ir.Node, g: ir.Value) -> Sequence[Pull | None]:
    x, indices = node.inputs
    assert x is not None
    assert indices is not None
    return [lambda: _added(back, x, indices, g, integer(node, "axis", 0)), None]


def _scatter(read: str) -> Rule:
    """Written places take the cotangent from the data; with reduction "add" both have it."""

    def rule(back: Backward, node: ir.Node, g: ir.Value) -> Sequence[Pull | None]:
        _data, indices, updates = node.inputs
        assert updates is not None
        attribute = node.attributes.get("reduction")
        reduction = "none" if attribute is None else attribute.as_string()
        if reduction not in ("none", "add"):
            raise NoRule(f"{node.op_type} by {reduction}")
        axis = {"axis": integer(node, "axis", 0)} if read == "GatherElements" else {}

        def of_data() -> ir.Value:
            if reduction == "add":
                return g
            return back.op(node.op_type, g, indices, back.zeros_like(updates), **axis)

        return [of_data, None, lambda: back.op(read, g, indices, **axis)]

    return rule


def _top(back: Backward, node: ir.Node, g: ir.Value) -> Sequence[Pull | None]:
    x = node.inputs[0]
    assert x is not None
    axis = integer(node, "axis", -1)
    return [lambda: _added(back, x, node.outputs[1], g, axis), None]


RULES: dict[str, Rule] = {
    "Gather": _gather,
    "GatherElements": _gather_elements,
    "ScatterElements": _scatter("GatherElements"),
    "ScatterND": _scatter("GatherND"),
    "TopK": _top,
}
