"""Rules of arithmetic element by element, with broadcasting where an operator has several inputs."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import onnx_ir as ir

from seedtune.exporter.passes.gradient.backward import Backward, NoRule, Pull, Rule
from seedtune.exporter.passes.gradient.sizes import constant_of

# (tools, g, a, b, y) -> g dy/da or g dy/db of y = f(a, b), still in the shape of y.
Partial = Callable[[Backward, ir.Value, ir.Value, ir.Value, ir.Value], ir.Value]
# (tools, g, x, y) -> g dy/dx of y = f(x).
Derivative = Callable[[Backward, ir.Value, ir.Value, ir.Value], ir.Value]


def _operands(node: ir.Node) -> tuple[ir.Value, ir.Value]:
    first, second = node.inputs[0], node.inputs[1]
    assert first is not None
    assert second is not None
    return first, second


def _binary(of_first: Partial, of_second: Partial) -> Rule:
    def rule(back: Backward, node: ir.Node, g: ir.Value) -> Sequence[Pull | None]:
        a, b = _operands(node)
        y = node.outputs[0]
        return [
            lambda: back.sum_to(a, of_first(back, g, a, b, y), y),
            lambda: back.sum_to(b, of_second(back, g, a, b, y), y),
        ]

    return rule


def unary(derivative: Derivative) -> Rule:
    """A rule of an operator with one input."""

    def rule(back: Backward, node: ir.Node, g: ir.Value) -> Sequence[Pull | None]:
        x = node.inputs[0]
        assert x is not None
        return [lambda: derivative(back, g, x, node.outputs[0])]

    return rule


def _sum(back: Backward, node: ir.Node, g: ir.Value) -> Sequence[Pull | None]:
    return [_summand(back, value, g, node.outputs[0]) for value in node.inputs]


def _summand(back: Backward, value: ir.Value | None, g: ir.Value, whole: ir.Value) -> Pull | None:
    return None if value is None else lambda: back.sum_to(value, g, whole)


def _power(back: Backward, node: ir.Node, g: ir.Value) -> Sequence[Pull | None]:
    """d x^p / dx = p x^(p - 1); no gradient of the exponent."""
    x, power = _operands(node)
    exponent = constant_of(power)
    if exponent is None or exponent.size != 1:
        raise NoRule("Pow with an exponent that is no number")
    p = float(exponent.reshape(-1)[0])

    def pull() -> ir.Value:
        lower = x if p == 2.0 else back.op("Pow", x, back.number(p - 1))
        return back.op("Mul", g, back.times(lower, p))

    return [pull, None]


def _larger(greater: str) -> Rule:
    """Max and Min of two: the one that is chosen, half each where they are equal, as PyTorch has it."""

    def share(back: Backward, g: ir.Value, one: ir.Value, other: ir.Value) -> ir.Value:
        chosen = back.where(back.op(greater, one, other), g)
        return back.op("Add", chosen, back.where(back.op("Equal", one, other), back.times(g, 0.5)))

    both = _binary(lambda back, g, a, b, _y: share(back, g, a, b), lambda back, g, a, b, _y: share(back, g, b, a))

    def rule(back: Backward, node: ir.Node, g: ir.Value) -> Sequence[Pull | None]:
        if len(node.inputs) != 2:
            raise NoRule(f"{node.op_type} of {len(node.inputs)} values")
        return both(back, node, g)

    return rule


def _clip(back: Backward, node: ir.Node, g: ir.Value) -> Sequence[Pull | None]:
    x = node.inputs[0]
    assert x is not None

    def pull() -> ir.Value:
        pulled = g
        for bound, inside in zip(node.inputs[1:], ("GreaterOrEqual", "LessOrEqual"), strict=False):
            if bound is not None:
                pulled = back.where(back.op(inside, x, bound), pulled)
        return pulled

    return [pull, None, None][: len(node.inputs)]


def _where(back: Backward, node: ir.Node, g: ir.Value) -> Sequence[Pull | None]:
    condition, first, second = node.inputs
    assert first is not None
    assert second is not None
    y, zero = node.outputs[0], back.number(0.0)
    return [
        None,
        lambda: back.sum_to(first, back.op("Where", condition, g, zero), y),
        lambda: back.sum_to(second, back.op("Where", condition, zero, g), y),
    ]


def _divisor(back: Backward, g: ir.Value, _a: ir.Value, b: ir.Value, y: ir.Value) -> ir.Value:
    return back.op("Neg", back.op("Mul", g, back.op("Div", y, b)))


RULES: dict[str, Rule] = {
    "Abs": unary(lambda back, g, x, _y: back.op("Mul", g, back.op("Sign", x))),
    "Add": _sum,
    # Between kinds of floating point: rounding counts as the identity, and cotangents stay float32.
    "Cast": unary(lambda _back, g, _x, _y: g),
    "CastLike": lambda _back, _node, g: [lambda: g, None],
    "Clip": _clip,
    "Cos": unary(lambda back, g, x, _y: back.op("Neg", back.op("Mul", g, back.op("Sin", x)))),
    "Div": _binary(lambda back, g, _a, b, _y: back.op("Div", g, b), _divisor),
    "Exp": unary(lambda back, g, _x, y: back.op("Mul", g, y)),
    "Identity": unary(lambda _back, g, _x, _y: g),
    "Log": unary(lambda back, g, x, _y: back.op("Div", g, x)),
    "Max": _larger("Greater"),
    "Min": _larger("Less"),
    "Mul": _binary(
        lambda back, g, _a, b, _y: back.op("Mul", g, b),
        lambda back, g, a, _b, _y: back.op("Mul", g, a),
    ),
    "Neg": unary(lambda back, g, _x, _y: back.op("Neg", g)),
    "Pow": _power,
    "Reciprocal": unary(lambda back, g, _x, y: back.op("Neg", back.op("Mul", g, back.square(y)))),
    "Sin": unary(lambda back, g, x, _y: back.op("Mul", g, back.op("Cos", x))),
    "Sqrt": unary(lambda back, g, _x, y: back.op("Div", back.times(g, 0.5), y)),
    "Sub": _binary(lambda _back, g, _a, _b, _y: g, lambda back, g, _a, _b, _y: back.op("Neg", g)),
    "Sum": _sum,
    "Where": _where,
}
