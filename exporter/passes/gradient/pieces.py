"""The gradient of a vector of which slices are read: the cotangents of the slices side by side, zeros between them.

Adding up a vector as long as the whole for each slice would cost the number of slices times its length.
"""

from __future__ import annotations

import itertools

import numpy as np
import onnx_ir as ir

from seedtune.exporter.passes.gradient.backward import Backward, NoRule
from seedtune.exporter.passes.gradient.sizes import integers_of
from seedtune.exporter.passes.gradient.slices import slice_axes


class Pieces:
    """Collects the cotangents of slices of ``trained``, [n]."""

    def __init__(self, back: Backward, trained: ir.Value) -> None:
        self.back = back
        self.trained = trained
        self._found: dict[tuple[int, int], list[ir.Value]] = {}

    def took(self, node: ir.Node, cotangent: ir.Value) -> bool:
        """Whether ``node`` is such a slice; then its ``cotangent`` is remembered."""
        size = self._length()
        if node.op_type != "Slice" or node.inputs[0] is not self.trained or size is None:
            return False
        bounds = [integers_of(value) for value in node.inputs[1:3]]
        steps = integers_of(node.inputs[4]) if len(node.inputs) > 4 and node.inputs[4] is not None else [1]
        if steps != [1] or any(bound is None for bound in bounds) or slice_axes(self.back, node) not in ([0], [-1]):
            return False
        start, end = (bound[0] for bound in bounds if bound is not None)
        taken = range(size)[start:end]
        self._found.setdefault((taken.start, taken.stop), []).append(cotangent)
        return True

    def joined(self, rest: ir.Value | None) -> ir.Value:
        """The cotangent of the whole, [n]; ``rest`` is what others than slices added to it.

        Raises:
            NoRule: there is none.
        """
        places = sorted(self._found)
        parts = [self._sum(place) for place in places]
        if any(before[1] > after[0] for before, after in itertools.pairwise(places)):
            total = rest
            for place, part in zip(places, parts, strict=True):
                total = self._added(total, self._among_zeros(place, part))
        else:
            total = self._added(self._side_by_side(places, parts), rest) if parts else rest
        if total is None:
            raise NoRule("a loss that does not depend on the state")
        return total

    def _length(self) -> int | None:
        sizes = self.back.sizes.of(self.trained)
        return sizes[0] if sizes is not None and len(sizes) == 1 and isinstance(sizes[0], int) else None

    def _sum(self, place: tuple[int, int]) -> ir.Value:
        first, *others = self._found[place]
        for other in others:
            first = self.back.op("Add", first, other)
        return first

    def _added(self, first: ir.Value | None, second: ir.Value | None) -> ir.Value | None:
        if first is None or second is None:
            return first or second
        return self.back.op("Add", first, second)

    def _among_zeros(self, place: tuple[int, int], part: ir.Value) -> ir.Value:
        pads = self.back.axes(place[0], (self._length() or 0) - place[1])
        return self.back.op("Pad", part, pads, self.back.number(0.0))

    def _side_by_side(self, places: list[tuple[int, int]], parts: list[ir.Value]) -> ir.Value:
        joined, end = [], 0
        for (start, stop), part in zip(places, parts, strict=True):
            joined += self._zeros(start - end)
            joined.append(part)
            end = stop
        joined += self._zeros((self._length() or 0) - end)
        return joined[0] if len(joined) == 1 else self.back.op("Concat", *joined, axis=0)

    def _zeros(self, count: int) -> list[ir.Value]:
        if not count:
            return []
        zero = ir.tensor(np.zeros(1, np.float32))
        return [self.back.op("ConstantOfShape", self.back.axes(count), value=zero)]
