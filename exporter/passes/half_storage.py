"""fp16 and bf16 storage: a matrix is widened right before the layer that reads it; arithmetic stays float32.

A plain ``Cast(W)`` would be folded when the session is created, or scheduled ahead of all layers; either keeps every
float32 copy alive at once. So the Cast reads a Reshape of W that depends on the layer's input (`Emitter`'s
`after_input`). Tables are widened after their Gather, a few rows at a time.
"""

from __future__ import annotations

import onnx_ir as ir

from seedtune.exporter.passes.emitter import Emitter, after_input


def read_half(graph: ir.Graph, value: ir.Value, dtype: ir.DataType) -> None:
    """Turns the float32 matrix ``value`` of ``graph``, read by Gemm, MatMul or Gather, into ``dtype``."""
    # A new type object: clones of a model share theirs.
    value.type = ir.TensorType(dtype)
    for use in list(value.uses()):
        if use.node.op_type == "Gather":
            _widen_after(graph, use.node, dtype)
        else:
            _widen_before(graph, use.node, use.idx, value)


def _widen_after(graph: ir.Graph, gather: ir.Node, dtype: ir.DataType) -> None:
    output = gather.outputs[0]
    readers = list(output.uses())
    emit = Emitter(graph)
    wide = emit.op("Cast", output, to=ir.DataType.FLOAT)
    output.type = ir.TensorType(dtype)
    wide.type, wide.shape = ir.TensorType(ir.DataType.FLOAT), output.shape
    for reader in readers:
        reader.node.replace_input_with(reader.idx, wide)
    graph.insert_after(gather, list(emit.tape.nodes))


def _widen_before(graph: ir.Graph, node: ir.Node, index: int, weight: ir.Value) -> None:
    x = node.inputs[0]
    assert x is not None
    emit = Emitter(graph)
    wide = emit.op("Cast", after_input(emit, weight, x), to=ir.DataType.FLOAT)
    emit.insert_before(node)
    node.replace_input_with(index, wide)
