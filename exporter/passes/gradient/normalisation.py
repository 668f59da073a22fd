"""Rules of softmax and of layer normalisation."""

from __future__ import annotations

from collections.abc import Sequence

import onnx_ir as ir

from seedtune.exporter.passes.gradient.backward import Backward, Pull, Rule
from seedtune.exporter.passes.gradient.sizes import integer


def _softmax(back: Backward, node: ir.Node, g: ir.Value) -> Sequence[Pull | None]:
    """dx = y (g - sum(g y))."""
    y, axis = node.outputs[0], back.axes(integer(node, "axis", -1))

    def pull() -> ir.Value:
        mean = back.op("ReduceSum", back.op("Mul", g, y), axis, keepdims=1)
        return back.op("Mul", y, back.op("Sub", g, mean))

    return [pull]


def _log_softmax(back: Backward, node: ir.Node, g: ir.Value) -> Sequence[Pull | None]:
    """dx = g - exp(y) sum(g)."""
    y, axis = node.outputs[0], back.axes(integer(node, "axis", -1))

    def pull() -> ir.Value:
        total = back.op("ReduceSum", g, axis, keepdims=1)
        return back.op("Sub", g, back.op("Mul", back.op("Exp", y), total))

    return [pull]


def _layer_norm(back: Backward, node: ir.Node, g: ir.Value) -> Sequence[Pull | None]:
    """Layer normalisation (Ba et al. 2016, arXiv 1607.06450).

    With n the normalised x, s the scale, and means over the normalised axes::

    dx = (g s - mean(g s) - n mean(g s n)) / deviation
    """
    x, scale = node.inputs[0], node.inputs[1]
    assert x is not None
    first = integer(node, "axis", -1)
    over = back.axes(*(range(first, 0) if first < 0 else range(first, back.rank(x, node))))
    attribute = node.attributes.get("epsilon")
    epsilon = 1e-5 if attribute is None else attribute.as_float()

    def pull() -> ir.Value:
        centred = back.op("Sub", x, back.op("ReduceMean", x, over, keepdims=1))
        variance = back.op("ReduceMean", back.square(centred), over, keepdims=1)
        steepness = back.op("Reciprocal", back.op("Sqrt", back.op("Add", variance, back.number(epsilon))))
        normal = back.op("Mul", centred, steepness)
        scaled = back.op("Mul", g, scale)
        along = back.op("Mul", normal, back.op("ReduceMean", back.op("Mul", scaled, normal), over, keepdims=1))
        rest = back.op("Sub", back.op("Sub", scaled, back.op("ReduceMean", scaled, over, keepdims=1)), along)
        return back.op("Mul", rest, steepness)

    return [pull, *[None] * (len(node.inputs) - 1)]


RULES: dict[str, Rule] = {"LayerNormalization": _layer_norm, "LogSoftmax": _log_softmax, "Softmax": _softmax}
