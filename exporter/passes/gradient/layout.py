"""Rules of operators that move elements about, each to one place or to several: shapes, joins, repetition."""

from __future__ import annotations

from collections.abc import Sequence

import onnx_ir as ir

from seedtune.exporter.passes.gradient.backward import Backward, NoRule, Pull, Rule
from seedtune.exporter.passes.gradient.sizes import integer, integers_of


def _same_elements(back: Backward, node: ir.Node, g: ir.Value) -> Sequence[Pull | None]:
    x = node.inputs[0]
    assert x is not None
    return [lambda: back.reshape_like(g, x), *[None] * (len(node.inputs) - 1)]


def _transpose(back: Backward, node: ir.Node, g: ir.Value) -> Sequence[Pull | None]:
    attribute = node.attributes.get("perm")
    if attribute is None:
        return [lambda: back.op("Transpose", g)]
    order = list(attribute.as_ints())
    return [lambda: back.op("Transpose", g, perm=[order.index(axis) for axis in range(len(order))])]


def _expand(back: Backward, node: ir.Node, g: ir.Value) -> Sequence[Pull | None]:
    x = node.inputs[0]
    assert x is not None
    return [lambda: back.sum_to(x, g, node.outputs[0]), None]


def _concat(back: Backward, node: ir.Node, g: ir.Value) -> Sequence[Pull | None]:
    axis = integer(node, "axis", 0)
    sizes = [_size_along(back, value, axis) for value in node.inputs if value is not None]
    parts: list[ir.Value] = []

    def part(place: int) -> ir.Value:
        if not parts:
            splits = back.op("Concat", *sizes, axis=0)
            parts.extend(back.emit.op_many("Split", g, splits, outputs=len(sizes), axis=axis))
        return parts[place]

    return [lambda place=place: part(place) for place in range(len(sizes))]  # type: ignore[misc]


def _size_along(back: Backward, value: ir.Value, axis: int) -> ir.Value:
    sizes = back.sizes.of(value)
    if sizes is not None:
        size = sizes[axis]
        if isinstance(size, int):
            return back.axes(size)
    return back.op("Gather", back.op("Shape", value), back.axes(axis), axis=0)


def _tile(back: Backward, node: ir.Node, g: ir.Value) -> Sequence[Pull | None]:
    """Each axis becomes two, how often and what; the sum runs over how often."""
    x, repeats = node.inputs
    assert x is not None
    rank = back.rank(x, node)

    def pull() -> ir.Value:
        shape = back.op("Shape", x)
        pairs = back.op("Concat", *(back.op("Unsqueeze", v, back.axes(1)) for v in (repeats, shape)), axis=1)
        split = back.op("Reshape", g, back.op("Reshape", pairs, back.axes(-1)))
        return back.op("ReduceSum", split, back.axes(*range(0, 2 * rank, 2)), keepdims=0)

    return [pull, None]


def _pad(back: Backward, node: ir.Node, g: ir.Value) -> Sequence[Pull | None]:
    mode = node.attributes.get("mode")
    pads = integers_of(node.inputs[1])
    if mode is not None and mode.as_string() != "constant":
        raise NoRule(f"Pad by {mode.as_string()}")
    if pads is None or min(pads) < 0 or (len(node.inputs) > 3 and node.inputs[3] is not None):
        raise NoRule("Pad by computed sizes")
    half = len(pads) // 2
    axes = [axis for axis in range(half) if pads[axis] or pads[half + axis]]
    ends = [-pads[half + axis] or 2**63 - 1 for axis in axes]

    def pull() -> ir.Value:
        return back.op("Slice", g, back.axes(*(pads[axis] for axis in axes)), back.axes(*ends), back.axes(*axes))

    return [pull, *[None] * (len(node.inputs) - 1)]


def _trilu(back: Backward, node: ir.Node, g: ir.Value) -> Sequence[Pull | None]:
    upper = integer(node, "upper", 1)
    return [lambda: back.op("Trilu", g, *node.inputs[1:], upper=upper), None][: len(node.inputs)]


RULES: dict[str, Rule] = {
    "Concat": _concat,
    "Expand": _expand,
    "Flatten": _same_elements,
    "Pad": _pad,
    "Reshape": _same_elements,
    "Squeeze": _same_elements,
    "Tile": _tile,
    "Transpose": _transpose,
    "Trilu": _trilu,
    "Unsqueeze": _same_elements,
}
