"""What a rule works with: it emits nodes, and knows how to bring a cotangent back to the shape of what was broadcast.

A cotangent of a value x is d loss / d x, float32, in the shape of x.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import onnx_ir as ir

from seedtune.exporter.passes.emitter import Emitter
from seedtune.exporter.passes.gradient.sizes import Sizes

# Gives the cotangent of one input of a node; called only for inputs that lead to what is trained.
Pull = Callable[[], ir.Value]
# (tools, node, cotangent of its first output) -> for each input how its cotangent is made, None where it has none.
Rule = Callable[["Backward", ir.Node, ir.Value], Sequence[Pull | None]]


class NoRule(Exception):  # noqa: N818 - a finding about a graph, which the caller turns into a notice
    """A node between what is trained and the loss cannot be differentiated; says which operator, and why."""


class Backward:
    """Emits the nodes of a backward pass, and knows the sizes of the values of the forward pass."""

    def __init__(self, emit: Emitter) -> None:
        self.emit = emit
        self.sizes = Sizes()

    def op(self, op_type: str, *inputs: ir.Value | None, **attributes: Any) -> ir.Value:
        """One node with one output."""
        return self.emit.op(op_type, *inputs, **attributes)

    def number(self, value: float) -> ir.Value:
        """A float32 scalar constant."""
        return self.emit.constant(np.array(value, np.float32))

    def axes(self, *axes: int) -> ir.Value:
        """An int64 vector constant."""
        return self.emit.integers(*axes)

    def times(self, value: ir.Value, factor: float) -> ir.Value:
        """``value`` times a number."""
        return value if factor == 1.0 else self.op("Mul", value, self.number(factor))

    def square(self, value: ir.Value) -> ir.Value:
        """``value`` times itself."""
        return self.op("Mul", value, value)

    def where(self, condition: ir.Value, value: ir.Value) -> ir.Value:
        """``value`` where ``condition`` holds, else 0."""
        return self.op("Where", condition, value, self.number(0.0))

    def rank(self, value: ir.Value, node: ir.Node) -> int:
        """How many dimensions ``value`` has; raises NoRule, which names ``node``, if that is not known."""
        rank = self.sizes.rank(value)
        if rank is None:
            raise NoRule(f"{node.op_type} of a value of unknown rank")
        return rank

    def shape_of(self, value: ir.Value) -> ir.Value:
        """The shape of ``value`` as an int64 vector, to expand something to."""
        sizes = self.sizes.of(value)
        if sizes is not None and all(isinstance(size, int) for size in sizes):
            return self.axes(*(size for size in sizes if isinstance(size, int)))
        return self.op("Shape", value)

    def reshape_like(self, cotangent: ir.Value, value: ir.Value) -> ir.Value:
        """``cotangent``, of as many elements, in the shape of ``value``."""
        sizes = self.sizes.of(value)
        numbers = [size for size in sizes or () if isinstance(size, int)]
        if sizes is not None and len(numbers) >= len(sizes) - 1 and 0 not in numbers:
            return self.op("Reshape", cotangent, self.axes(*(s if isinstance(s, int) else -1 for s in sizes)))
        return self.op("Reshape", cotangent, self.op("Shape", value), allowzero=1)

    def zeros_like(self, value: ir.Value) -> ir.Value:
        """Zeros, float32, in the shape of ``value``."""
        return self.op("ConstantOfShape", self.shape_of(value))

    def transposed(self, value: ir.Value, rank: int) -> ir.Value:
        """``value`` with its last two axes exchanged."""
        return self.op("Transpose", value, perm=[*range(rank - 2), rank - 1, rank - 2])

    def sum_to(self, value: ir.Value, cotangent: ir.Value, whole: ir.Value) -> ir.Value:
        """The cotangent of ``value``, which was broadcast to the shape of ``whole``, that of ``cotangent``."""
        axes = self._broadcast_axes(value, whole)
        if axes is None:
            return self.sum_to_shape(value, cotangent)
        if not axes:
            return cotangent
        leading = self.rank_difference(value, whole)
        if len(axes) == leading:
            return self.op("ReduceSum", cotangent, self.axes(*axes), keepdims=0)
        summed = self.op("ReduceSum", cotangent, self.axes(*axes), keepdims=1)
        return self.op("Squeeze", summed, self.axes(*range(leading))) if leading else summed

    def rank_difference(self, value: ir.Value, whole: ir.Value) -> int:
        """How many dimensions ``whole`` has more than ``value``; both are known."""
        return len(self.sizes.of(whole) or ()) - len(self.sizes.of(value) or ())

    def _broadcast_axes(self, value: ir.Value, whole: ir.Value) -> list[int] | None:
        """Axes of ``whole`` along which ``value`` was repeated; None if the sizes do not tell."""
        if value is whole:
            return []
        small, large = self.sizes.of(value), self.sizes.of(whole)
        if small is None or large is None:
            return None
        leading = len(large) - len(small)
        axes = list(range(leading))
        for axis, size in enumerate(small, leading):
            if size == 1 and large[axis] != 1:
                axes.append(axis)
            elif not isinstance(size, int) and (size is None or size != large[axis]):
                return None
        return axes

    def sum_to_shape(self, value: ir.Value, cotangent: ir.Value) -> ir.Value:
        """As `sum_to`, by shapes that are compared when the graph runs."""
        shape, wide = self.op("Shape", value), self.op("Shape", cotangent)
        missing = self.op("Sub", self.op("Shape", wide), self.op("Shape", shape))
        padded = self.op("Concat", self.op("Expand", self.axes(1), missing), shape, axis=0)
        differs = self.op("Not", self.op("Equal", padded, wide))
        axes = self.op("Squeeze", self.op("NonZero", differs), self.axes(0))
        summed = self.op("ReduceSum", cotangent, axes, keepdims=1, noop_with_empty_axes=1)
        return self.op("Reshape", summed, shape, allowzero=1)
