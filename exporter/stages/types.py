"""Types of the values inside a finished graph, as ONNX Runtime infers them (it also knows its contributed operators)."""

from __future__ import annotations

from dataclasses import dataclass

import onnx_ir as ir
import onnxruntime

from seedtune.exporter.stages.reads import is_parameter

TYPES = {
    "tensor(float)": ir.DataType.FLOAT,
    "tensor(float16)": ir.DataType.FLOAT16,
    "tensor(bfloat16)": ir.DataType.BFLOAT16,
    "tensor(double)": ir.DataType.DOUBLE,
    "tensor(int4)": ir.DataType.INT4,
    "tensor(int8)": ir.DataType.INT8,
    "tensor(uint8)": ir.DataType.UINT8,
    "tensor(int32)": ir.DataType.INT32,
    "tensor(uint32)": ir.DataType.UINT32,
    "tensor(int64)": ir.DataType.INT64,
    "tensor(bool)": ir.DataType.BOOL,
}


@dataclass(frozen=True)
class Inferred:
    """``dtype`` of a value, and the bytes of its last axis, 0 where that axis has no fixed size."""

    dtype: ir.DataType
    width_bytes: int


def infer(model: ir.Model) -> dict[str, Inferred]:
    """Name -> type of every value that a node of the outermost graph makes.

    Nothing is read from the weights file: in the copy that ONNX Runtime is shown, parameters are inputs.
    """
    copy = model.clone()
    graph = copy.graph
    for name, value in list(graph.initializers.items()):
        if is_parameter(value):
            value.const_value = None
            graph.initializers.pop(name)
            graph.inputs.append(value)
    kept = {id(value) for value in graph.outputs}
    for node in graph:
        graph.outputs.extend(output for output in node.outputs if id(output) not in kept)
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(
        ir.to_proto(copy).SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    found = {}
    for output in session.get_outputs():
        dtype = TYPES[output.type]
        last = output.shape[-1] if output.shape else None
        found[output.name] = Inferred(dtype, int(last * dtype.itemsize) if isinstance(last, int) else 0)
    return found
