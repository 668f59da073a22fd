"""Random cases of operators that compute: elements, products, reductions, normalisation."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from operator_lab import Case

Draw = Callable[[st.SearchStrategy[Any]], Any]
Make = Callable[[Draw], Case]
shapes = arrays.array_shapes(min_dims=1, max_dims=3, max_side=3)


def values(draw: Draw, shape: Sequence[int], low: float = -2.0, high: float = 2.0) -> np.ndarray:
    """Random numbers that float32 holds, so that both sides read the same."""
    generator = np.random.default_rng(draw(st.integers(0, 2**20)))
    return np.asarray(generator.uniform(low, high, tuple(shape))).astype(np.float32).astype(np.float64)


def integers(*numbers: int) -> np.ndarray:
    """An int64 vector."""
    return np.array(numbers, np.int64)


def defined(op_type: str, definition: Callable[[float], float], **attributes: Any) -> Make:
    """An operator whose reference implementation rounds to float32, by its definition for one number."""
    each = np.vectorize(definition, otypes=[np.float64])
    return lambda draw: Case(op_type, [values(draw, draw(shapes))], attributes, definition=each)


def gelu(x: float) -> float:
    """x Phi(x)."""
    return x * (1 + math.erf(x / math.sqrt(2))) / 2


def gelu_by_tanh(x: float) -> float:
    """The approximation that GPT-2 uses."""
    return x * (1 + math.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3))) / 2


def unary(op_type: str, low: float = -2.0, high: float = 2.0, **attributes: Any) -> Make:
    """An operator of one input."""
    return lambda draw: Case(op_type, [values(draw, draw(shapes), low, high)], attributes)


def binary(op_type: str, low: float = -2.0) -> Make:
    """Two inputs, each of which may be broadcast."""

    def make(draw: Draw) -> Case:
        both = draw(arrays.mutually_broadcastable_shapes(num_shapes=2, max_dims=3, max_side=3)).input_shapes
        return Case(op_type, [values(draw, shape, low) for shape in both], trained=(0, 1))

    return make


def power(exponent: float) -> Make:
    """x^p of positive x."""
    return lambda draw: Case("Pow", [values(draw, draw(shapes), 0.5), np.array(exponent)], constants=frozenset({1}))


def where(draw: Draw) -> Case:
    """A choice, all three inputs broadcast."""
    three = draw(arrays.mutually_broadcastable_shapes(num_shapes=3, max_dims=3, max_side=3)).input_shapes
    condition = values(draw, three[0]) > 0
    return Case("Where", [condition, values(draw, three[1]), values(draw, three[2])], trained=(1, 2))


def clip(draw: Draw) -> Case:
    """Bounds that cut some values off, or one bound."""
    lower = None if draw(st.booleans()) else np.array(-1.0)
    return Case("Clip", [values(draw, draw(shapes)), lower, np.array(0.5)], constants=frozenset({1, 2}))


def gemm(draw: Draw) -> Case:
    """All four layouts, an addend of the rank that linears give it or none."""
    n, i, o = (draw(st.integers(1, 3)) for _ in range(3))
    turned_a, turned_b = draw(st.integers(0, 1)), draw(st.integers(0, 1))
    a = values(draw, (i, n) if turned_a else (n, i))
    b = values(draw, (o, i) if turned_b else (i, o))
    addend = draw(st.sampled_from([(o,), (n, o), (1, o)]))
    with_addend = draw(st.booleans())
    inputs = [a, b, values(draw, addend)] if with_addend else [a, b]
    return Case("Gemm", inputs, {"transA": turned_a, "transB": turned_b}, trained=range(len(inputs)))


def matmul(draw: Draw) -> Case:
    """Leading axes that are broadcast."""
    found = draw(arrays.mutually_broadcastable_shapes(num_shapes=2, max_dims=2, max_side=3)).input_shapes
    n, i, o = (draw(st.integers(1, 3)) for _ in range(3))
    return Case("MatMul", [values(draw, (*found[0], n, i)), values(draw, (*found[1], i, o))], trained=(0, 1))


def reduction(op_type: str) -> Make:
    """Some axes, all, or none; kept or not."""

    def make(draw: Draw) -> Case:
        shape = draw(shapes)
        axes = draw(st.sets(st.integers(0, len(shape) - 1), max_size=len(shape)))
        keep, nothing = draw(st.integers(0, 1)), draw(st.integers(0, 1))
        x = values(draw, shape, 0.1)
        given_axes = integers(*(axis - draw(st.sampled_from([0, len(shape)])) for axis in sorted(axes)))
        return Case(op_type, [x, given_axes], {"keepdims": keep, "noop_with_empty_axes": nothing})

    return make


def along_axis(op_type: str, *more: np.ndarray) -> Make:
    """An operator with an axis, counted from either end."""

    def make(draw: Draw) -> Case:
        shape = draw(shapes)
        return Case(op_type, [values(draw, shape), *more], {"axis": draw(st.integers(-len(shape), len(shape) - 1))})

    return make


def layer_norm(draw: Draw) -> Case:
    """Any first axis; with and without a bias."""
    shape = (*draw(shapes), 4)
    axis = draw(st.integers(-len(shape), len(shape) - 1))
    normal = shape[axis:]
    inputs = [values(draw, shape), values(draw, normal), values(draw, normal)][: draw(st.integers(2, 3))]
    return Case("LayerNormalization", inputs, {"axis": axis, "epsilon": 1e-3})


def cumulative(draw: Draw) -> Case:
    """All four directions."""
    shape = draw(shapes)
    flags = {name: draw(st.integers(0, 1)) for name in ("exclusive", "reverse")}
    return Case("CumSum", [values(draw, shape), np.array(draw(st.integers(0, len(shape) - 1)))], flags)


ARITHMETIC: dict[str, list[Make]] = {
    "Abs": [unary("Abs")],
    "Add": [binary("Add")],
    "Cast": [defined("Cast", lambda x: x, to=1)],
    "CastLike": [lambda draw: Case("CastLike", [values(draw, draw(shapes)), np.array(1.0)], constants=frozenset({1}))],
    "Clip": [clip],
    "Cos": [unary("Cos")],
    "CumSum": [cumulative],
    "Div": [binary("Div", low=0.5)],
    "Elu": [unary("Elu", alpha=0.7)],
    "Erf": [defined("Erf", math.erf)],
    "Exp": [unary("Exp")],
    "Gelu": [defined("Gelu", gelu), defined("Gelu", gelu_by_tanh, approximate="tanh")],
    "Gemm": [gemm],
    "Identity": [unary("Identity")],
    "LayerNormalization": [layer_norm],
    "LeakyRelu": [unary("LeakyRelu", alpha=0.2)],
    "Log": [unary("Log", low=0.3)],
    "LogSoftmax": [along_axis("LogSoftmax")],
    "MatMul": [matmul],
    "Max": [binary("Max")],
    "Min": [binary("Min")],
    "Mul": [binary("Mul")],
    "Neg": [unary("Neg")],
    "Pow": [power(2.0), power(3.0), power(0.5), power(1.0)],
    "Reciprocal": [unary("Reciprocal", low=0.5)],
    "Relu": [unary("Relu")],
    "Sigmoid": [unary("Sigmoid")],
    "Sin": [unary("Sin")],
    "Softmax": [along_axis("Softmax")],
    "Softplus": [unary("Softplus")],
    "Sqrt": [unary("Sqrt", low=0.3)],
    "Sub": [binary("Sub")],
    "Sum": [binary("Sum")],
    "Tanh": [unary("Tanh")],
    "Where": [where],
    **{
        name: [reduction(name)]
        for name in (
            "ReduceL1", "ReduceL2", "ReduceLogSumExp", "ReduceMax", "ReduceMean", "ReduceMin", "ReduceSum",
            "ReduceSumSquare",
        )
    },
}  # fmt: skip
