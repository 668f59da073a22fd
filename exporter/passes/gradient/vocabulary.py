"""The gradient of a completion's loss, a part of the vocabulary at a time, as its loss is computed.

Per token row with hidden state h and target t, whose scores are s = f(W h)::

    d loss / d s = (softmax(s) - [v = t]) weight / count

The scores of each part are computed once more rather than kept: no [R, V] tensor ever exists (as in Wijmans et al.
2024, arXiv 2411.09009).
"""

from __future__ import annotations

import onnx_ir as ir

from seedtune.exporter.passes.completion_loss import CompletionLoss, places, scores_of
from seedtune.exporter.passes.emitter import Emitter, zero_at_run_time
from seedtune.exporter.passes.gradient.differentiate import differentiate


def cotangent_of_rows(graph: ir.Graph, loss: CompletionLoss) -> ir.Value:
    """The cotangent of what the head reads, [R, H], for the sum of all losses; appended to ``graph``.

    Raises:
        NoRule: what stands behind the head cannot be differentiated.
    """
    emit = Emitter(graph)
    share = emit.op("Div", loss.weight, emit.op("Unsqueeze", loss.count, emit.integers(2)))
    share = emit.op("Reshape", share, emit.integers(-1, 1))
    emit.append()
    total: ir.Value | None = None
    for start in range(0, loss.head.linear.out_features, loss.chunk):
        size = min(loss.chunk, loss.head.linear.out_features - start)
        part = Emitter(graph)
        # Tied to what comes before, so that parts of the weight are not taken all at once, nor merged with the loss's.
        zero = zero_at_run_time(part, loss.log_total if total is None else total)
        words = part.op("Add", zero, places(part, start, size))
        scores = scores_of(part, loss.head, loss.rows, words)
        nodes = list(part.tape.nodes)
        _describe(nodes, size)
        chosen = part.op("Equal", part.op("Unsqueeze", words, part.integers(0)), loss.wanted)
        likely = part.op("Exp", part.op("Sub", scores, loss.log_total))
        slope = part.op("Sub", likely, part.op("Cast", chosen, to=ir.DataType.FLOAT))
        of_part = differentiate(part, nodes, {scores: part.op("Mul", slope, share)}, loss.rows)
        total = of_part if total is None else part.op("Add", total, of_part)
        part.append()
    assert total is not None
    return total


def _describe(nodes: list[ir.Node], size: int) -> None:
    """Says of the scores and of all that is made of them that they are [R, size]."""
    behind = False
    for node in nodes:
        behind = behind or node.op_type == "Gemm"
        if behind:
            node.outputs[0].shape = ir.Shape(["token_rows", size])
