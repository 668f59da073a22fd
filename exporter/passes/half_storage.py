"""fp16 storage: matrices are stored in half precision and widened right before the layer that reads them.

Arithmetic stays float32. A plain ``Cast(W)`` would be folded when the session is created, or scheduled ahead of all
layers; either keeps every float32 copy alive at once. So the Cast reads a Reshape of W whose target shape depends on
the layer's input: ``[o, i] + min(rows, 0)``. ONNX Runtime can neither fold it nor run it before that input exists.
Embedding tables are widened after their Gather, a few rows at a time.
"""

from __future__ import annotations

from collections.abc import Collection

import onnx_ir as ir

from seedtune.exporter.passes.emitter import Emitter, static_shape, zero_at_run_time


def store_half(graph: ir.Graph, keep: Collection[str] = ()) -> set[str]:
    """Turns the matrices of ``graph`` (2-D float32 parameters read by Gemm, MatMul or Gather) into float16.

    Args:
        graph: changed in place.
        keep: names of parameters that stay float32.

    Returns:
        The names of the parameters that are now float16.
    """
    halved: set[str] = set()
    for value in list(graph.initializers.values()):
        if value.const_value is not None or value.dtype != ir.DataType.FLOAT or value.name in keep:
            continue
        if value.shape is None or len(value.shape) != 2 or not _convertible(value):
            continue
        assert value.name is not None
        # A new type object: clones of a model share theirs.
        value.type = ir.TensorType(ir.DataType.FLOAT16)
        halved.add(value.name)
        for use in list(value.uses()):
            if use.node.op_type == "Gather":
                _widen_after(graph, use.node)
            else:
                _widen_before(graph, use.node, use.idx, value)
    return halved


def _convertible(value: ir.Value) -> bool:
    return all(
        (use.node.op_type == "Gather" and use.idx == 0) or (use.node.op_type in ("Gemm", "MatMul") and use.idx == 1)
        for use in value.uses()
    )


def _widen_after(graph: ir.Graph, gather: ir.Node) -> None:
    output = gather.outputs[0]
    readers = list(output.uses())
    emit = Emitter(graph)
    wide = emit.op("Cast", output, to=ir.DataType.FLOAT)
    output.type = ir.TensorType(ir.DataType.FLOAT16)
    wide.type, wide.shape = ir.TensorType(ir.DataType.FLOAT), output.shape
    for reader in readers:
        reader.node.replace_input_with(reader.idx, wide)
    graph.insert_after(gather, list(emit.tape.nodes))


def _widen_before(graph: ir.Graph, node: ir.Node, index: int, weight: ir.Value) -> None:
    x = node.inputs[0]
    assert x is not None
    emit = Emitter(graph)
    # Not a Concat: ONNX Runtime's reshape fusion would put -1 for its unknown part, and fold the rest.
    shape = emit.op("Add", zero_at_run_time(emit, x), emit.integers(*static_shape(weight)))
    wide = emit.op("Cast", emit.op("Reshape", weight, shape), to=ir.DataType.FLOAT)
    emit.insert_before(node)
    node.replace_input_with(index, wide)
