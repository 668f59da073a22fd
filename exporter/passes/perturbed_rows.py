"""Which rows carry trainable state, and with which sign: decided here and nowhere else.

Every token row of a graph carries it. With scope "suffix" the graph is given the suffix only, and the rows of the
context are in no probe at all.
"""

from __future__ import annotations

import onnx_ir as ir

from seedtune.exporter.passes.emitter import Emitter


def signs_of_doubled_rows(graph: ir.Graph, ids: ir.Value, epsilon: ir.Value) -> ir.Value:
    """The column that scales the perturbation of each token row, [2*B*T, 1] float32, where sides are rows.

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


def signs_of_doubled_tokens(graph: ir.Graph, mask: ir.Value, epsilon: ir.Value) -> ir.Value:
    """The same where sides are tokens: of the 2*S tokens of each row the first S are the plus side.

    Args:
        graph: the two-sided graph; the nodes go in front of it.
        mask: of the tokens of one side, [B, S] int64; its shape is all that matters.
        epsilon: half the distance between the sides, [1] float32.
    """
    emit = Emitter(graph)
    plus = emit.op("Expand", epsilon, emit.op("Shape", mask))
    both = emit.op("Concat", plus, emit.op("Neg", plus), axis=1)
    signs = emit.op("Reshape", both, emit.integers(-1, 1))
    emit.prepend()
    return signs
