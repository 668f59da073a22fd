"""Rules of sums, means and extremes along axes."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import onnx_ir as ir

from seedtune.exporter.passes.gradient.backward import Backward, NoRule, Pull, Rule
from seedtune.exporter.passes.gradient.sizes import integer, integers_of

# (tools, cotangent and result with the reduced axes kept at size 1, x) -> the cotangent of x, or what expands to it.
Derived = Callable[[Backward, ir.Value, ir.Value, ir.Value], ir.Value]


def _axes_of(back: Backward, node: ir.Node) -> list[int]:
    """The axes that ``node`` reduces, all of them if it names none."""
    x = node.inputs[0]
    assert x is not None
    given = node.inputs[1] if len(node.inputs) > 1 else None
    if given is not None:
        axes = integers_of(given)
        if axes is None:
            raise NoRule(f"{node.op_type} along computed axes")
        if axes:
            return axes
    elif "axes" in node.attributes:
        return list(node.attributes["axes"].as_ints())
    return [] if integer(node, "noop_with_empty_axes", 0) else list(range(back.rank(x, node)))


def _reduction(derived: Derived) -> Rule:
    def rule(back: Backward, node: ir.Node, g: ir.Value) -> Sequence[Pull | None]:
        x, y = node.inputs[0], node.outputs[0]
        assert x is not None
        axes = _axes_of(back, node)
        keeps = integer(node, "keepdims", 1) or not axes

        def kept(value: ir.Value) -> ir.Value:
            return value if keeps else back.op("Unsqueeze", value, back.axes(*axes))

        return [lambda: derived(back, kept(g), kept(y), x), *[None] * (len(node.inputs) - 1)]

    return rule


def _sum(back: Backward, g: ir.Value, _y: ir.Value, x: ir.Value) -> ir.Value:
    return back.op("Expand", g, back.shape_of(x))


def _mean(back: Backward, node: ir.Node, g: ir.Value) -> Sequence[Pull | None]:
    x = node.inputs[0]
    assert x is not None
    axes, sizes = _axes_of(back, node), back.sizes.of(x)
    counts = [sizes[axis] if sizes is not None else None for axis in axes]
    numbers = [count for count in counts if isinstance(count, int)]

    def share() -> ir.Value:
        if len(numbers) == len(axes):
            return back.times(g, 1 / float(np.prod(numbers, dtype=np.int64)))
        along = back.op("Gather", back.op("Shape", x), back.axes(*axes), axis=0)
        count = back.op("Cast", back.op("ReduceProd", along, keepdims=0), to=ir.DataType.FLOAT)
        return back.op("Div", g, count)

    return _reduction(_sum)(back, node, share())


def _extreme(back: Backward, node: ir.Node, g: ir.Value) -> Sequence[Pull | None]:
    """An even share for each place of the extreme, as PyTorch's amax and amin have it."""
    axes = _axes_of(back, node)

    def shared(back: Backward, g: ir.Value, y: ir.Value, x: ir.Value) -> ir.Value:
        places = back.op("Cast", back.op("Equal", x, y), to=ir.DataType.FLOAT)
        if not axes:
            return g
        return back.op("Mul", places, back.op("Div", g, back.op("ReduceSum", places, back.axes(*axes), keepdims=1)))

    return _reduction(shared)(back, node, g)


def _log_sum_exp(back: Backward, g: ir.Value, y: ir.Value, x: ir.Value) -> ir.Value:
    return back.op("Mul", g, back.op("Exp", back.op("Sub", x, y)))


def _norm(back: Backward, g: ir.Value, y: ir.Value, x: ir.Value) -> ir.Value:
    """d |x| / dx = x / |x|, and 0 at 0, as PyTorch has it."""
    slope = back.where(back.op("Greater", y, back.number(0.0)), back.op("Div", g, y))
    return back.op("Mul", slope, x)


def _cumulative(back: Backward, node: ir.Node, g: ir.Value) -> Sequence[Pull | None]:
    exclusive, reverse = integer(node, "exclusive", 0), integer(node, "reverse", 0)
    return [lambda: back.op("CumSum", g, node.inputs[1], exclusive=exclusive, reverse=1 - reverse), None]


RULES: dict[str, Rule] = {
    "CumSum": _cumulative,
    "ReduceL1": _reduction(lambda back, g, _y, x: back.op("Mul", g, back.op("Sign", x))),
    "ReduceL2": _reduction(_norm),
    "ReduceLogSumExp": _reduction(_log_sum_exp),
    "ReduceMax": _extreme,
    "ReduceMean": _mean,
    "ReduceMin": _extreme,
    "ReduceSum": _reduction(_sum),
    "ReduceSumSquare": _reduction(lambda back, g, _y, x: back.op("Mul", back.times(g, 2.0), x)),
}
