"""Rules of matrix products: the backward product reads the same matrix as the forward one, the other way round."""

from __future__ import annotations

from collections.abc import Sequence

import onnx_ir as ir

from seedtune.exporter.passes.gradient.backward import Backward, NoRule, Pull, Rule
from seedtune.exporter.passes.gradient.sizes import integer


def _gemm(back: Backward, node: ir.Node, g: ir.Value) -> Sequence[Pull | None]:
    """Y = A' B' + C, where A' and B' may be transposed: dA' = g B'^T, dB' = A'^T g, dC = g."""
    a, b = node.inputs[0], node.inputs[1]
    c = node.inputs[2] if len(node.inputs) > 2 else None
    turned_a, turned_b = integer(node, "transA", 0), integer(node, "transB", 0)
    for name in ("alpha", "beta"):
        factor = node.attributes.get(name)
        if factor is not None and factor.as_float() != 1.0:
            raise NoRule(f"Gemm with {name}")

    def of_a() -> ir.Value:
        if turned_a:
            return back.op("Gemm", b, g, transA=turned_b, transB=1)
        return back.op("Gemm", g, b, transB=1 - turned_b)

    def of_b() -> ir.Value:
        if turned_b:
            return back.op("Gemm", g, a, transA=1, transB=turned_a)
        return back.op("Gemm", a, g, transA=1 - turned_a)

    of_c = None if c is None else lambda: back.sum_to(c, g, node.outputs[0])
    return [of_a, of_b, of_c][: len(node.inputs)]


def _matmul(back: Backward, node: ir.Node, g: ir.Value) -> Sequence[Pull | None]:
    """Y = A B over the last two axes, the others broadcast: dA = g B^T, dB = A^T g."""
    a, b = node.inputs
    assert a is not None
    assert b is not None
    if min(back.rank(a, node), back.rank(b, node)) < 2:
        raise NoRule("MatMul with a vector")
    return [
        lambda: _sum_leading(back, a, b, back.op("MatMul", g, back.transposed(b, back.rank(b, node)))),
        lambda: _sum_leading(back, b, a, back.op("MatMul", back.transposed(a, back.rank(a, node)), g)),
    ]


def _sum_leading(back: Backward, value: ir.Value, other: ir.Value, cotangent: ir.Value) -> ir.Value:
    """The cotangent of ``value``, whose leading axes may have been broadcast against those of ``other``."""
    mine, others = back.sizes.of(value) or (), back.sizes.of(other) or ()
    if len(mine) >= len(others) and all(size is not None for size in mine):
        aligned = mine[len(mine) - len(others) : -2]
        if all(a == b or (b == 1) for a, b in zip(aligned, others[:-2], strict=True)):
            return cotangent
    return back.sum_to_shape(value, cotangent)


RULES: dict[str, Rule] = {"Gemm": _gemm, "MatMul": _matmul}
