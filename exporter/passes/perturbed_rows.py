"""Which rows carry trainable state, and with which sign: decided here and nowhere else.

Today every token row carries it (scope "all"). A scope that leaves a row's prefix untouched changes this file only.
"""

from __future__ import annotations

import onnx_ir as ir

from seedtune.exporter.passes.emitter import Emitter


def side_signs(graph: ir.Graph, ids: ir.Value, epsilon: ir.Value) -> ir.Value:
    """The column that scales the perturbation of each token row, [2*B*T, 1] float32.

    +epsilon for the rows of the plus side, which come first, and -epsilon for those of the minus side.

    Args:
        graph: the two-sided graph; the nodes go in front of it.
        ids: the input token ids of one side, [B, T] int64.
        epsilon: half the distance between the sides, [1] float32.
    """
    emit = Emitter(graph)
    rows = emit.op("Reshape", emit.op("Size", ids), emit.integers(1))
    shape = emit.op("Concat", rows, emit.integers(1), axis=0)
    plus = emit.op("Expand", epsilon, shape)
    signs = emit.op("Concat", plus, emit.op("Neg", plus), axis=0)
    emit.prepend()
    return signs
