"""What is known of the sizes of values while a graph is built: numbers, symbols that stand for equal sizes, or nothing.

Traced values know their shapes. Values that passes added do not, so theirs follow from what they are made of, for the
few operators that passes add.
"""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

# A number, or a symbol: two equal symbols are equal sizes. None is a size that nothing is known of.
Size = int | str | None
SAME_AS_FIRST = {"Cast", "Exp", "Identity", "Log", "LogSoftmax", "Neg", "Reciprocal", "Sigmoid", "Softmax", "Sqrt"}
BROADCAST = {"Add", "Div", "Mul", "Sub"}


def constant_of(value: ir.Value | None) -> np.ndarray | None:
    """The values of a constant of the graph; None for a parameter, and for what is computed."""
    if value is None or value.const_value is None:
        return None
    return value.const_value.numpy()


def integers_of(value: ir.Value | None) -> list[int] | None:
    """The values of an integer constant, one dimension or none, as a list."""
    array = constant_of(value)
    return None if array is None else [int(item) for item in array.reshape(-1)]


def integer(node: ir.Node, name: str, default: int) -> int:
    """An attribute of ``node``."""
    attribute = node.attributes.get(name)
    return default if attribute is None else attribute.as_int()


class Sizes:
    """Sizes of the values of a graph; remembers what it derived."""

    def __init__(self) -> None:
        self._known: dict[ir.Value, tuple[Size, ...] | None] = {}

    def of(self, value: ir.Value) -> tuple[Size, ...] | None:
        """The sizes of ``value``, or None if not even their number is known."""
        if value.shape is not None:
            return tuple(size if isinstance(size, int) else size.value for size in value.shape)
        if value not in self._known:
            self._known[value] = self._derived(value)
        return self._known[value]

    def rank(self, value: ir.Value) -> int | None:
        """How many dimensions ``value`` has."""
        sizes = self.of(value)
        return None if sizes is None else len(sizes)

    def same(self, first: ir.Value, second: ir.Value) -> bool:
        """Whether both are known to have one shape."""
        sizes = self.of(first)
        return sizes is not None and None not in sizes and sizes == self.of(second)

    def _derived(self, value: ir.Value) -> tuple[Size, ...] | None:
        node = value.producer()
        if node is None or not node.inputs or node.inputs[0] is None:
            return None
        first = self.of(node.inputs[0])
        if node.op_type == "Reshape":
            return self._reshaped(value, integers_of(node.inputs[1]))
        if first is None:
            return None
        if node.op_type in SAME_AS_FIRST:
            return first
        if node.op_type == "Transpose" and "perm" in node.attributes:
            return tuple(first[axis] for axis in node.attributes["perm"].as_ints())
        if node.op_type == "Gemm":
            return self._product(node, first)
        if node.op_type == "Slice" and len(first) == 1:
            return self._sliced(node, first[0])
        if node.op_type in BROADCAST and node.inputs[1] is not None:
            return _broadcast(first, self.of(node.inputs[1]))
        return None

    def _reshaped(self, value: ir.Value, wanted: list[int] | None) -> tuple[Size, ...] | None:
        if wanted is None or 0 in wanted:
            return None
        # What -1 stands for has a symbol of its own, shared by what is computed from this value row by row.
        return tuple(f"rest of {id(value)}" if size == -1 else size for size in wanted)

    def _product(self, node: ir.Node, first: tuple[Size, ...]) -> tuple[Size, ...] | None:
        second = self.of(node.inputs[1]) if node.inputs[1] is not None else None
        if second is None:
            return None
        return first[integer(node, "transA", 0)], second[1 - integer(node, "transB", 0)]

    def _sliced(self, node: ir.Node, size: Size) -> tuple[Size, ...] | None:
        bounds = [integers_of(value) for value in node.inputs[1:3]]
        steps = integers_of(node.inputs[4]) if len(node.inputs) > 4 else [1]
        if not isinstance(size, int) or steps != [1] or any(bound is None or len(bound) != 1 for bound in bounds):
            return None
        start, end = (bound[0] for bound in bounds if bound is not None)
        return (len(range(size)[start:end]),)


def _broadcast(first: tuple[Size, ...], second: tuple[Size, ...] | None) -> tuple[Size, ...] | None:
    if second is None:
        return None
    rank = max(len(first), len(second))
    padded = [(1,) * (rank - len(sizes)) + sizes for sizes in (first, second)]
    joined: list[Size] = []
    for a, b in zip(*padded, strict=True):
        if a == b or b == 1:
            joined.append(a)
        elif a == 1:
            joined.append(b)
        else:
            joined.append(a if isinstance(a, int) else b if isinstance(b, int) else None)
    return tuple(joined)
