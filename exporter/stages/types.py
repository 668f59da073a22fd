"""Types and sizes of the values inside a finished graph, as ONNX Runtime infers them: it knows its own operators."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import onnx_ir as ir
import onnxruntime

from seedtune.exporter.stages.reads import is_parameter
from seedtune.runtime.errors import SeedTuneError

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
# Of ONNX Runtime's rewrites: it removes an addition of zeros even where the sum is an output of the graph, as every
# value is here, and then misses that output (1.26: "Failed to find node output or a constant initializer").
REWRITES_LEFT_OUT = ["NoopElimination"]


@dataclass(frozen=True)
class Inferred:
    """``dtype`` of a value, its bytes for the sizes that were asked for, and its shape, unknown axes as -1."""

    dtype: ir.DataType
    size_bytes: int
    shape: tuple[int, ...] = ()


def infer(model: ir.Model, batches: Sequence[Mapping[str, int]]) -> list[dict[str, Inferred]]:
    """Name -> type and size of every value that a node of the outermost graph makes, for each of ``batches``.

    Nothing is read from the weights file: in the copy that ONNX Runtime is shown, parameters are inputs. It folds what
    depends on shapes only, so that every shape becomes known.

    Args:
        model: a finished graph.
        batches: sizes of the axes that have names ("batch", "tokens", "context"). An axis that is still unknown counts
            as 1.

    Raises:
        SeedTuneError: ONNX Runtime lacks an operator of the graph, or finds its shapes at odds.
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
    serialized = ir.to_proto(copy).SerializeToString()
    return [_infer(serialized, sizes) for sizes in batches]


def _infer(model: bytes, sizes: Mapping[str, int]) -> dict[str, Inferred]:
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC
    options.log_severity_level = 3
    for name, size in sizes.items():
        options.add_free_dimension_override_by_name(name, size)
    try:
        session = onnxruntime.InferenceSession(
            model, options, providers=["CPUExecutionProvider"], disabled_optimizers=REWRITES_LEFT_OUT
        )
    except Exception as error:
        raise SeedTuneError(
            "ONNX Runtime cannot run what the model was traced to",
            value=" ".join(str(error).split()),
            rule=f"operators and shapes that ONNX Runtime {onnxruntime.__version__} runs on the CPU, for "
            + ", ".join(f"{size} {name}" for name, size in sizes.items()),
            remedy="report the model's name and this message",
        ) from error
    found = {}
    for output in session.get_outputs():
        dtype = TYPES[output.type]
        shape = tuple(size if isinstance(size, int) else -1 for size in output.shape or ())
        size_bytes = int(dtype.itemsize * math.prod(abs(size) for size in shape))
        found[output.name] = Inferred(dtype, size_bytes, shape)
    return found
