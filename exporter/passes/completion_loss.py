"""Cross-entropy over the whole vocabulary, a part of the vocabulary at a time: no [rows, V] tensor ever exists.

Per token row with hidden state h and target t::

    loss = log sum_v exp(w_v h) - w_t h

The sum runs over chunks of the vocabulary with a running maximum (Milakov and Gimelshein 2018, arXiv 1805.02867). An
example's loss is the mean over the tokens of its response.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import onnx_ir as ir

from seedtune.exporter.passes.emitter import Emitter, static_shape, zero_at_run_time
from seedtune.exporter.passes.head import Head, find_head
from seedtune.exporter.passes.linear_layout import Linear
from seedtune.runtime.errors import SeedTuneError

# Words of the vocabulary at a time: 16 MB of scores for 1,024 token rows.
CHUNK = 4096
# What may stand behind the head and is computed for each chunk anew; scaling and soft-capping.
REPEATABLE = {"Mul", "Div", "Tanh", "Neg", "Identity", "Add", "Sub"}
LAYOUT_ONLY = {"Reshape", "Squeeze", "Identity"}


@dataclass(frozen=True)
class CompletionLoss:
    """The loss of a completion task, and what its gradient is made of.

    Attributes:
        losses: [sides * B] float32.
        token_accuracy: share of tokens that are the most likely one, likewise.
        head: of the model.
        rows: h, what the head reads, [R, H] with R = B * sides * S.
        wanted: t, [R, 1] int64.
        log_total: log sum_v exp(w_v h), [R, 1] float32.
        weight: 1 for a token of a response, else 0, [B, 1, S] float32.
        count: tokens of each response, [B, 1] float32.
        chunk: words of the vocabulary at a time.
    """

    losses: ir.Value
    token_accuracy: ir.Value
    head: Head
    rows: ir.Value
    wanted: ir.Value
    log_total: ir.Value
    weight: ir.Value
    count: ir.Value
    chunk: int


def add_completion_loss(
    graph: ir.Graph, linears: Sequence[Linear], target: ir.Value, mask: ir.Value, sides: int, chunk: int = CHUNK
) -> CompletionLoss:
    """Appends the loss of logits [B, sides * S, V], the tokens of one side after those of the other.

    Args:
        graph: changed in place; its output ``logits`` is not needed afterwards.
        linears: what `normalise_linears` returned for this graph.
        target: [B, S] int64.
        mask: [B, S] int64, 1 where there is a target.
        sides: 1 or 2.
        chunk: words of the vocabulary at a time.

    Raises:
        SeedTuneError: what stands between the head and the logits cannot be computed in parts.
    """
    head = find_head(graph, linears)
    emit = Emitter(graph)
    rows = head.gemm.inputs[0]
    assert rows is not None
    both = target if sides == 1 else emit.op("Concat", *[target] * sides, axis=1)
    wanted = emit.op("Reshape", both, emit.integers(-1, 1))
    log_total, picked, correct = _over_vocabulary(emit, head, rows, wanted, chunk)
    # [B * sides * S, 1] -> [sides, B, S]: the mean of each example and side.
    batch_and_tokens = emit.op("Shape", target)
    parts = emit.op(
        "Concat",
        emit.op("Gather", batch_and_tokens, emit.integers(0)),
        emit.integers(sides),
        emit.op("Gather", batch_and_tokens, emit.integers(1)),
        axis=0,
    )
    weight = emit.op("Unsqueeze", emit.op("Cast", mask, to=ir.DataType.FLOAT), emit.integers(1))
    count = emit.op("ReduceSum", weight, emit.integers(2), keepdims=0)
    means = []
    for value in (emit.op("Sub", log_total, picked), correct):
        weighted = emit.op("Mul", emit.op("Reshape", value, parts), weight)
        mean = emit.op("Div", emit.op("ReduceSum", weighted, emit.integers(2), keepdims=0), count)
        means.append(emit.op("Reshape", emit.op("Transpose", mean, perm=[1, 0]), emit.integers(-1)))
    emit.append()
    return CompletionLoss(means[0], means[1], head, rows, wanted, log_total, weight, count, chunk)


def _over_vocabulary(
    emit: Emitter, head: Head, rows: ir.Value, wanted: ir.Value, chunk: int
) -> tuple[ir.Value, ir.Value, ir.Value]:
    """Log of the sum, the target's score, and whether it is the highest, [R, 1] float32 each, for ``wanted`` [R, 1]."""
    vocabulary = head.linear.out_features
    largest = total = best = picked = None
    for start in range(0, vocabulary, chunk):
        size = min(chunk, vocabulary - start)
        # Tied to the chunk before: ONNX Runtime would otherwise be free to take all parts of the weight at once.
        zero = zero_at_run_time(emit, rows if largest is None else largest)
        scores = scores_of(emit, head, rows, emit.op("Add", zero, places(emit, start, size)))
        top = emit.op("ReduceMax", scores, emit.integers(1), keepdims=1)
        place = emit.op("Sub", wanted, emit.integers(start))
        inside = emit.op("Clip", place, emit.constant(np.array(0)), emit.constant(np.array(size - 1)))
        score = emit.op("GatherElements", scores, inside, axis=1)
        word = emit.op("Add", emit.op("ArgMax", scores, axis=1, keepdims=1), emit.integers(start))
        if largest is None or total is None or best is None or picked is None:
            largest, best, picked = top, word, score
            total = emit.op("ReduceSum", emit.op("Exp", emit.op("Sub", scores, top)), emit.integers(1), keepdims=1)
            continue
        greater = emit.op("Max", largest, top)
        part = emit.op("ReduceSum", emit.op("Exp", emit.op("Sub", scores, greater)), emit.integers(1), keepdims=1)
        total = emit.op("Add", emit.op("Mul", total, emit.op("Exp", emit.op("Sub", largest, greater))), part)
        best = emit.op("Where", emit.op("Greater", top, largest), word, best)
        picked = emit.op("Where", emit.op("Equal", place, inside), score, picked)
        largest = greater
    assert largest is not None
    assert total is not None
    assert picked is not None
    correct = emit.op("Cast", emit.op("Equal", best, wanted), to=ir.DataType.FLOAT)
    return emit.op("Add", largest, emit.op("Log", total)), picked, correct


def scores_of(emit: Emitter, head: Head, rows: ir.Value, words: ir.Value) -> ir.Value:
    """The scores of ``words`` for ``rows`` [R, H], with what the model does to its logits."""
    weight = head.gemm.inputs[1]
    assert weight is not None
    inputs = [rows, emit.op("Gather", weight, words, axis=head.vocabulary_axis)]
    bias = head.gemm.inputs[2] if len(head.gemm.inputs) > 2 else None
    if bias is not None:
        assert bias.shape is not None
        inputs.append(emit.op("Gather", bias, words, axis=len(bias.shape) - 1))
    value = emit.op("Gemm", *inputs, transB=1 - head.vocabulary_axis)
    for node in reversed(head.chain):
        if node.op_type in LAYOUT_ONLY:
            continue
        operands = node.inputs[1:]
        scalars = all(operand is not None and _is_scalar(operand) for operand in operands)
        if node.op_type not in REPEATABLE or not scalars:
            raise SeedTuneError(
                "this model does something to its logits that cannot be computed in parts",
                value=f"{node.op_type} node {node.name!r}",
                rule="a linear layer, then at most scaling or soft-capping by numbers",
                remedy="a completion task needs another model",
            )
        value = emit.op(node.op_type, value, *operands)
    return value


def _is_scalar(value: ir.Value) -> bool:
    return value.const_value is not None and int(np.prod(static_shape(value), dtype=np.int64)) == 1


def places(emit: Emitter, start: int, size: int) -> ir.Value:
    """start .. start + size - 1, int64, made when the graph runs rather than stored."""
    first, last, one = (emit.constant(np.array(number, np.int64)) for number in (start, start + size, 1))
    return emit.op("Range", first, last, one)
