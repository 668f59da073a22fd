"""int4 storage: a matrix is widened, block by block, right before the layer that reads it; arithmetic stays float32.

ONNX Runtime's fused 4-bit product (MatMulNBits) unpacks more slowly than this unless its weights are packed in advance
into anonymous memory, and is then still slower than float32 from 128 rows on (docs/log/2026-11-23.md, "int4").
"""

from __future__ import annotations

import onnx_ir as ir

from seedtune.exporter.passes.emitter import Emitter, after_input, parameter, static_shape
from seedtune.exporter.storage.encodings import INT4_BLOCK, SCALE, Encoding


def read_int4(graph: ir.Graph, value: ir.Value, encoding: Encoding) -> None:
    """Turns the float32 matrix ``value`` [o, i] of ``graph``, read by Gemm with transB, into 4-bit codes and scales."""
    shape = static_shape(value)
    scale_type, scale_shape = encoding.parts((shape[0], shape[1]))[SCALE]
    assert value.name is not None
    scales = parameter(graph, value.name + SCALE, scale_type, scale_shape)
    value.type = ir.TensorType(ir.DataType.INT4)
    for use in list(value.uses()):
        x = use.node.inputs[0]
        assert x is not None
        emit = Emitter(graph)
        scale = emit.op("Cast", after_input(emit, scales, x), to=ir.DataType.FLOAT)
        wide = emit.op("DequantizeLinear", value, scale, axis=1, block_size=INT4_BLOCK)
        emit.insert_before(use.node)
        use.node.replace_input_with(use.idx, wide)
