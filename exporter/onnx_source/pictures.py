"""What every change of an image has in common: it ends as a picture in bytes, and is held against the original."""

from __future__ import annotations

from typing import Protocol

import numpy as np
import onnx_ir as ir

from seedtune.exporter.passes.emitter import Emitter


class Change(Protocol):
    """A change of images that a state says."""

    @property
    def pixels(self) -> int:
        """P, the values of an image."""
        ...

    @property
    def parameters(self) -> int:
        """n, a multiple of 32."""
        ...

    @property
    def patterns(self) -> int:
        """How many patterns of a picture it knows; 0 for a change that is not told them."""
        ...

    def changed(self, emit: Emitter, image: ir.Value, state: ir.Value, pattern: ir.Value | None) -> ir.Value:
        """The image of each state: [R, P] of [R, P], [R, n] and, with patterns, [R, P] int64."""
        ...


def in_bytes(emit: Emitter, values: ir.Value) -> ir.Value:
    """``values`` as a picture has them: whole 255ths from 0 to 1."""
    bytes_ = emit.op("Round", emit.op("Mul", values, emit.constant(np.array(255, np.float32))))
    whole = emit.op("Clip", bytes_, *(emit.constant(np.array(end, np.float32)) for end in (0, 255)))
    return emit.op("Div", whole, emit.constant(np.array(255, np.float32)))


def likeness(emit: Emitter, image: ir.Value, other: ir.Value) -> tuple[ir.Value, ir.Value]:
    """Pearson's correlation of each pair of images, [R], and the contrast that is left: std(other) / std(image), [R].

    An image of one value has neither: its correlation is 0, and what it becomes has the contrast 0.
    """
    centred = [
        emit.op("Sub", each, emit.op("ReduceMean", each, emit.integers(1), keepdims=1)) for each in (image, other)
    ]
    squares = [emit.op("ReduceSum", emit.op("Mul", each, each), emit.integers(1), keepdims=0) for each in centred]
    products = emit.op("ReduceSum", emit.op("Mul", *centred), emit.integers(1), keepdims=0)
    tiny = emit.constant(np.array(1e-12, np.float32))
    size = emit.op("Sqrt", emit.op("Add", emit.op("Mul", *squares), tiny))
    contrast = emit.op("Sqrt", emit.op("Div", squares[1], emit.op("Add", squares[0], tiny)))
    return emit.op("Div", products, size), contrast
