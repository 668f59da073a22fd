"""Arithmetic in bfloat16, which ONNX Runtime lacks on the CPU, becomes float32 arithmetic whose results are rounded.

``y = op(a, b)`` in bfloat16 becomes ``y = Cast(op(Cast(a), Cast(b)))``: what PyTorch computes on the CPU too, operator
by operator, so a model that rounds on purpose (the biases of Falcon's ALiBi) keeps its numbers.
"""

from __future__ import annotations

import onnx_ir as ir

from seedtune.exporter.passes.emitter import Emitter

NARROW = ir.DataType.BFLOAT16


def widen_bfloat16(graph: ir.Graph) -> None:
    """Rewrites every node of ``graph`` that reads or makes bfloat16 values, but Casts, which ONNX Runtime has."""
    for node in list(graph):
        if node.op_type != "Cast" and any(_is_narrow(value) for value in (*node.inputs, *node.outputs)):
            _widen(graph, node)


def _widen(graph: ir.Graph, node: ir.Node) -> None:
    before = Emitter(graph)
    for place, value in enumerate(node.inputs):
        if value is not None and _is_narrow(value):
            wide = before.op("Cast", value, to=ir.DataType.FLOAT)
            wide.type, wide.shape = ir.TensorType(ir.DataType.FLOAT), value.shape
            node.replace_input_with(place, wide)
    before.insert_before(node)
    after = Emitter(graph)
    for output in node.outputs:
        if _is_narrow(output):
            readers, shape = list(output.uses()), output.shape
            output.type = ir.TensorType(ir.DataType.FLOAT)
            rounded = after.op("Cast", output, to=NARROW)
            rounded.type, rounded.shape = ir.TensorType(NARROW), shape
            for reader in readers:
                reader.node.replace_input_with(reader.idx, rounded)
            for place, value in enumerate(graph.outputs):
                if value is output:
                    graph.outputs[place] = rounded
    graph.insert_after(node, list(after.tape.nodes))


def _is_narrow(value: ir.Value | None) -> bool:
    return value is not None and value.dtype == NARROW
