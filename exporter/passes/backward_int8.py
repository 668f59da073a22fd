"""int8 storage in a backward product: cotangents are multiplied with the codes and scales in float32.

The forward product rounds a layer's input to 8-bit digits (`int8_storage.py`), which has no slope. The backward one is
that of the dequantised matrix, as if nothing had been rounded: a straight-through estimate (Bengio et al. 2013, arXiv
1308.3432, section 4). With the codes q [i, o] and scales s [o] of a matrix, and cotangents g [N, o] of its output::

    dx = (g s) q^T                    [N, i]
"""

from __future__ import annotations

import onnx_ir as ir

from seedtune.exporter.passes.emitter import Emitter, after_input
from seedtune.exporter.storage.encodings import Encoding


def is_backward(gemm: ir.Node, encoding: Encoding) -> bool:
    """Whether ``gemm`` reads a matrix of kind "int8" the other way round than its layer does."""
    attribute = gemm.attributes.get("transB")
    return encoding.transposed != (attribute is not None and attribute.as_int() == 1)


def multiply_back_int8(graph: ir.Graph, gemm: ir.Node, codes: ir.Value, scales: ir.Value) -> None:
    """Rewrites the backward product ``gemm``, which adds nothing, over ``codes`` [i, o] and ``scales`` [o]."""
    g = gemm.inputs[0]
    assert g is not None
    emit = Emitter(graph)
    wide = emit.op("Cast", after_input(emit, codes, g), to=ir.DataType.FLOAT)
    result = emit.op("Gemm", emit.op("Mul", g, scales), wide, transB=1)
    emit.insert_before(gemm)
    ir.convenience.replace_all_uses_with(gemm.outputs[0], result, replace_graph_outputs=True)
    graph.remove(gemm, safe=True)
