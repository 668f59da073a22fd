"""Rules of the activation functions of networks."""

from __future__ import annotations

import math
from collections.abc import Sequence

import onnx_ir as ir

from seedtune.exporter.passes.gradient.backward import Backward, Pull, Rule
from seedtune.exporter.passes.gradient.elementwise import unary


def _alpha(node: ir.Node, default: float) -> float:
    attribute = node.attributes.get("alpha")
    return default if attribute is None else attribute.as_float()


def _positive(back: Backward, x: ir.Value | None) -> ir.Value:
    return back.op("Greater", x, back.number(0.0))


def _relu(back: Backward, g: ir.Value, x: ir.Value, _y: ir.Value) -> ir.Value:
    return back.where(_positive(back, x), g)


def _tanh(back: Backward, g: ir.Value, _x: ir.Value, y: ir.Value) -> ir.Value:
    return back.op("Mul", g, back.op("Sub", back.number(1.0), back.square(y)))


def _sigmoid(back: Backward, g: ir.Value, _x: ir.Value, y: ir.Value) -> ir.Value:
    return back.op("Mul", g, back.op("Mul", y, back.op("Sub", back.number(1.0), y)))


def _erf(back: Backward, g: ir.Value, x: ir.Value, _y: ir.Value) -> ir.Value:
    slope = back.times(back.op("Exp", back.op("Neg", back.square(x))), 2 / math.sqrt(math.pi))
    return back.op("Mul", g, slope)


def _leaky_relu(back: Backward, node: ir.Node, g: ir.Value) -> Sequence[Pull | None]:
    return [lambda: back.op("Where", _positive(back, node.inputs[0]), g, back.times(g, _alpha(node, 0.01)))]


def _elu(back: Backward, node: ir.Node, g: ir.Value) -> Sequence[Pull | None]:
    def pull() -> ir.Value:
        slope = back.op("Add", node.outputs[0], back.number(_alpha(node, 1.0)))
        return back.op("Where", _positive(back, node.inputs[0]), g, back.op("Mul", g, slope))

    return [pull]


def _gelu(back: Backward, node: ir.Node, g: ir.Value) -> Sequence[Pull | None]:
    """x Phi(x), or its approximation by tanh (Hendrycks and Gimpel 2016, arXiv 1606.08415)."""
    attribute = node.attributes.get("approximate")
    return unary(_gelu_by_tanh if attribute is not None and attribute.as_string() == "tanh" else _gelu_exact)(
        back, node, g
    )


def _gelu_exact(back: Backward, g: ir.Value, x: ir.Value, _y: ir.Value) -> ir.Value:
    one = back.number(1.0)
    below = back.times(back.op("Add", one, back.op("Erf", back.times(x, math.sqrt(0.5)))), 0.5)
    density = back.times(back.op("Exp", back.times(back.square(x), -0.5)), 1 / math.sqrt(2 * math.pi))
    return back.op("Mul", g, back.op("Add", below, back.op("Mul", x, density)))


def _gelu_by_tanh(back: Backward, g: ir.Value, x: ir.Value, _y: ir.Value) -> ir.Value:
    one, scale, cubic = back.number(1.0), math.sqrt(2 / math.pi), 0.044715
    squared = back.square(x)
    inner = back.op("Mul", back.times(x, scale), back.op("Add", one, back.times(squared, cubic)))
    t = back.op("Tanh", inner)
    slope = back.times(back.op("Add", one, back.times(squared, 3 * cubic)), scale)
    curved = back.op("Mul", x, back.op("Mul", back.op("Sub", one, back.square(t)), slope))
    return back.op("Mul", g, back.times(back.op("Add", back.op("Add", one, t), curved), 0.5))


RULES: dict[str, Rule] = {
    "Elu": _elu,
    "Erf": unary(_erf),
    "Gelu": _gelu,
    "LeakyRelu": _leaky_relu,
    "Relu": unary(_relu),
    "Sigmoid": unary(_sigmoid),
    "Softplus": unary(lambda back, g, x, _y: back.op("Mul", g, back.op("Sigmoid", x))),
    "Tanh": unary(_tanh),
}
