"""How keys and values of a context are stored between the graph that makes them and those that read them.

fp32   as they are
fp16   rounded to half precision
int8   [layers, B, key heads, P, head size] int8 with one float16 scale per layer, row, head and token, [..., P, 1]:
       value = scale * code, code = round(value / scale) in -127 .. 127, scale = largest magnitude / 127

The conversions are in the graphs, so that every runtime stores the same bytes. A layer's keys are widened where the
layer reads them, one layer at a time.
"""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from seedtune.exporter.passes.emitter import Emitter, add_input, input_named
from seedtune.runtime.bundle.objective import CONTEXT_TYPES, ContextLayout

TYPES = {name: ir.DataType.from_numpy(np.dtype(dtype)) for name, dtype in CONTEXT_TYPES.items()}
LARGEST_CODE = 127.0
# Keeps a token of zeros from dividing by zero; the smallest normal float16.
SMALLEST_SCALE = 2.0**-14


def store(emit: Emitter, value: ir.Value, storage: str) -> tuple[ir.Value, ir.Value | None]:
    """``value`` [layers, B, key heads, P, head size] float32 as stored, and its scales for int8."""
    if storage == "fp32":
        return value, None
    if storage == "fp16":
        return emit.op("Cast", value, to=TYPES["fp16"]), None
    largest = emit.op("ReduceMax", emit.op("Abs", value), emit.integers(-1), keepdims=1)
    scale = emit.op("Div", largest, emit.constant(np.array(LARGEST_CODE, np.float32)))
    scale = emit.op("Max", scale, emit.constant(np.array(SMALLEST_SCALE, np.float32)))
    half = emit.op("Cast", scale, to=ir.DataType.FLOAT16)
    code = emit.op("Round", emit.op("Div", value, emit.op("Cast", half, to=ir.DataType.FLOAT)))
    limit = emit.constant(np.array(LARGEST_CODE, np.float32))
    code = emit.op("Clip", code, emit.op("Neg", limit), limit)
    return emit.op("Cast", code, to=ir.DataType.INT8), half


def load(graph: ir.Graph, layout: ContextLayout) -> None:
    """Turns the inputs ``keys`` and ``values`` (and their scales) of a suffix graph into what is stored."""
    for name in ("keys", "values"):
        value = input_named(graph, name)
        if layout.storage == "fp32":
            continue
        value.type = ir.TensorType(TYPES[layout.storage])
        scales = None
        if layout.storage == "int8":
            shape: list[int | str] = [layout.layers, "batch", layout.key_heads, "context", 1]
            scales = add_input(graph, name.removesuffix("s") + "_scales", ir.DataType.FLOAT16, shape)
        for use in list(value.uses()):
            if use.node.op_type in ("Gather", "Slice", "Split", "Squeeze"):
                for output in use.node.outputs:
                    _widen(graph, use.node, output, scales)
            elif use.node.op_type != "Shape":
                raise AssertionError(f"{use.node.op_type} reads the whole of {name}")


def _widen(graph: ir.Graph, reader: ir.Node, part: ir.Value, scales: ir.Value | None) -> None:
    """Widens what ``reader`` took of a stored input; its scales are taken by the same operator."""
    uses = list(part.uses())
    emit = Emitter(graph)
    wide = emit.op("Cast", part, to=ir.DataType.FLOAT)
    if scales is not None:
        if reader.op_type != "Gather":
            raise AssertionError(f"{reader.op_type} takes a layer out of an int8 context")
        axis = reader.attributes.get("axis")
        of_layer = emit.op("Gather", scales, reader.inputs[1], axis=0 if axis is None else axis.as_int())
        wide = emit.op("Mul", wide, emit.op("Cast", of_layer, to=ir.DataType.FLOAT))
    part.type = None
    # Whoever differentiates the graph asks for it.
    wide.type, wide.shape = ir.TensorType(ir.DataType.FLOAT), part.shape
    for use in uses:
        use.node.replace_input_with(use.idx, wide)
    graph.insert_after(reader, list(emit.tape.nodes))
