"""The vocabulary projection, cut down to the rows of the label words: no [B, V] tensor ever exists.

Matches the last linear that yields the graph's ``logits`` (through elementwise ops only) and gathers its rows:
``Gemm(h, W)`` [B, V] becomes ``Gemm(h, Gather(W, words))`` [B, L], its bias likewise. Elementwise ops behind it
(scaling, soft-capping) act on [B, L] instead. Refuses any other shape of head, naming the node it met.
"""

from __future__ import annotations

from collections.abc import Sequence

import onnx_ir as ir

from seedtune.exporter.passes.emitter import Emitter, zero_at_run_time
from seedtune.exporter.passes.head import find_head
from seedtune.exporter.passes.linear_layout import Linear


def keep_label_rows(graph: ir.Graph, linears: Sequence[Linear], words: Sequence[int]) -> ir.Value:
    """Rewrites the head and returns the label scores, [B, L] float32.

    Args:
        graph: a graph with the output ``logits`` [B, V].
        linears: what `normalise_linears` returned for this graph.
        words: the L token ids of the label words.

    Raises:
        SeedTuneError: the logits do not come from one linear layer through elementwise operators.
    """
    head = find_head(graph, linears)
    vocabulary = head.linear.out_features
    emit = Emitter(graph)
    # With constant indices ONNX Runtime would fold the Gather when the session is created, and read the whole table
    # into anonymous memory for it.
    indices = emit.op("Add", zero_at_run_time(emit, graph.inputs[0]), emit.integers(*words))
    for position in range(1, len(head.gemm.inputs)):
        whole = head.gemm.inputs[position]
        if whole is not None:
            assert whole.shape is not None
            axis = 0 if len(whole.shape) == 1 else head.vocabulary_axis
            head.gemm.replace_input_with(position, emit.op("Gather", whole, indices, axis=axis))
    emit.insert_before(head.gemm)
    head.linear.output.shape = None
    for node in head.chain:
        _narrow(graph, node, vocabulary, indices, len(words))
    return head.logits


def _narrow(graph: ir.Graph, node: ir.Node, vocabulary: int, indices: ir.Value, labels: int) -> None:
    """Fits one elementwise node behind the head to L columns: vocabulary-sized operands and shape constants."""
    node.outputs[0].shape = None
    for position, operand in enumerate(node.inputs):
        if operand is None or position == 0:
            continue
        shape = operand.shape
        if node.op_type == "Reshape":
            _narrow_shape(graph, node, position, operand, vocabulary, labels)
        elif node.op_type != "Gather" and shape is not None and len(shape) and shape[-1] == vocabulary:
            emit = Emitter(graph)
            node.replace_input_with(position, emit.op("Gather", operand, indices, axis=len(shape) - 1))
            emit.insert_before(node)


def _narrow_shape(
    graph: ir.Graph, node: ir.Node, position: int, operand: ir.Value, vocabulary: int, labels: int
) -> None:
    """Replaces the vocabulary size inside the target shape of a Reshape, constant or concatenated."""
    producer = operand.producer()
    emit = Emitter(graph)
    if producer is not None and producer.op_type == "Concat":
        for index, part in enumerate(producer.inputs):
            if part is not None and part.const_value is not None and part.const_value.numpy().tolist() == [vocabulary]:
                producer.replace_input_with(index, emit.integers(labels))
    elif operand.const_value is not None:
        sizes = [labels if size == vocabulary else int(size) for size in operand.const_value.numpy().tolist()]
        node.replace_input_with(position, emit.integers(*sizes))
