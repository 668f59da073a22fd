"""Rules of Slice and Split: the cotangent of what was cut out is put back between zeros."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import onnx_ir as ir

from seedtune.exporter.passes.gradient.backward import Backward, NoRule, Pull, Rule
from seedtune.exporter.passes.gradient.sizes import integer, integers_of

TO_THE_END = 2**31 - 1


def slice_axes(back: Backward, node: ir.Node) -> list[int]:
    """The axes that a Slice cuts along."""
    if len(node.inputs) > 3 and node.inputs[3] is not None:
        axes = integers_of(node.inputs[3])
        if axes is None:
            raise NoRule("Slice along computed axes")
        return axes
    x = node.inputs[0]
    assert x is not None
    return list(range(back.rank(x, node)))


def _slice(back: Backward, node: ir.Node, g: ir.Value) -> Sequence[Pull | None]:
    """Cases: 1. nothing is cut away  2. step 1: zeros before and behind  3. other steps: scattered along one axis."""
    x, y = node.inputs[0], node.outputs[0]
    assert x is not None
    rest = [None] * (len(node.inputs) - 1)
    axes = slice_axes(back, node)
    steps = [1] * len(axes)
    if len(node.inputs) > 4 and node.inputs[4] is not None:
        given = integers_of(node.inputs[4])
        if given is None:
            raise NoRule("Slice with computed steps")
        steps = given
    if back.sizes.same(x, y):
        return [lambda: g, *rest]
    if any(step != 1 for step in steps):
        if len(axes) > 1:
            raise NoRule("Slice with steps along several axes")
        return [lambda: _scattered(back, node, x, g, axes[0]), *rest]
    return [lambda: back.op("Pad", g, _pads(back, node, x, g, axes), back.number(0.0)), *rest]


def _pads(back: Backward, node: ir.Node, x: ir.Value, g: ir.Value, axes: list[int]) -> ir.Value:
    """[before ..., behind ...] of every axis of ``x``, int64; what is known now is a constant.

    Of every axis: ONNX Runtime's transpose optimizer takes Pad's input ``axes`` for no part of it (1.28).
    """
    rank = back.rank(x, node)
    along = [axis % rank for axis in axes]
    known = _known_pads(back, node, x, axes)
    if known is not None:
        whole = [0] * (2 * rank)
        for place, axis in enumerate(along):
            whole[axis], whole[rank + axis] = known[place], known[len(axes) + place]
        return back.axes(*whole)
    size = back.op("Gather", back.op("Shape", x), back.axes(*along), axis=0)
    left = back.op("Gather", back.op("Shape", g), back.axes(*along), axis=0)
    start, zero = node.inputs[1], back.axes(0)
    from_end = back.op("Where", back.op("Less", start, zero), back.op("Add", start, size), start)
    before = back.op("Min", back.op("Max", from_end, zero), size)
    behind = back.op("Sub", size, back.op("Add", before, left))
    parts = []
    for sides in (before, behind):
        for axis in range(rank):
            at = along.index(axis) if axis in along else None
            parts.append(zero if at is None else back.op("Gather", sides, back.axes(at), axis=0))
    return back.op("Concat", *parts, axis=0)


def _known_pads(back: Backward, node: ir.Node, x: ir.Value, axes: list[int]) -> list[int] | None:
    """[before ..., behind ...] along ``axes``."""
    starts, ends, sizes = integers_of(node.inputs[1]), integers_of(node.inputs[2]), back.sizes.of(x)
    if starts is None or ends is None:
        return None
    before, behind = [], []
    for axis, start, end in zip(axes, starts, ends, strict=True):
        size = None if sizes is None else sizes[axis]
        if isinstance(size, int):
            kept = range(size)[start:end]
            if not kept:
                return None
            before.append(kept.start)
            behind.append(size - kept.stop)
        elif start == 0 and end > TO_THE_END:
            before.append(0)
            behind.append(0)
        else:
            return None
    return before + behind


def _scattered(back: Backward, node: ir.Node, x: ir.Value, g: ir.Value, axis: int) -> ir.Value:
    """The places that were taken are a Slice of all places, whatever start, end and step mean."""
    rank = back.rank(x, node)
    zero, one = (back.emit.constant(np.array(number, np.int64)) for number in (0, 1))
    size = back.op("Squeeze", back.op("Gather", back.op("Shape", x), back.axes(axis), axis=0), back.axes(0))
    places = back.op("Slice", back.op("Range", zero, size, one), *node.inputs[1:3], back.axes(0), node.inputs[4])
    column = back.op("Reshape", places, back.axes(*(-1 if at == axis % rank else 1 for at in range(rank))))
    indices = back.op("Expand", column, back.op("Shape", g))
    return back.op("ScatterElements", back.zeros_like(x), indices, g, axis=axis)


def split(back: Backward, node: ir.Node, cotangents: Sequence[ir.Value | None]) -> ir.Value:
    """The cotangent of what a Split divided, from those of its parts."""
    parts = [back.zeros_like(output) if g is None else g for output, g in zip(node.outputs, cotangents, strict=True)]
    return back.op("Concat", *parts, axis=integer(node, "axis", 0))


RULES: dict[str, Rule] = {"Slice": _slice}
