"""Small graphs made by hand, and graphs run in ONNX Runtime without files."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence

import numpy as np
import onnx_ir as ir
import onnxruntime

from seedtune.exporter.passes.finish import finish, used_parameters
from seedtune.runtime.graphs.session import CONFIG

OPSET = 21
FLOAT, INT64 = ir.DataType.FLOAT, ir.DataType.INT64
# Makes the same graph again and again.
Build = Callable[[], ir.Model]


def make_value(name: str, dtype: ir.DataType, shape: Sequence[int | str]) -> ir.Value:
    """A named value of a known type and shape."""
    return ir.Value(name=name, type=ir.TensorType(dtype), shape=ir.Shape(list(shape)))


def make_graph(
    inputs: Sequence[ir.Value],
    outputs: Sequence[ir.Value],
    nodes: Sequence[ir.Node],
    initializers: Sequence[ir.Value],
) -> ir.Model:
    """A model of one graph; initializers without a value wait for their tensor, as in a trunk."""
    graph = ir.Graph(list(inputs), list(outputs), nodes=list(nodes), opset_imports={"": OPSET}, name="hand")
    for value in initializers:
        graph.initializers.add(value)
    return ir.Model(graph, ir_version=10)


def op_types(graph: ir.Graph) -> list[str]:
    """Operator names in graph order."""
    return [node.op_type for node in graph]


def input_names(node: ir.Node) -> list[str | None]:
    """Names of what ``node`` reads; None for an input that is left out."""
    return [None if value is None else value.name for value in node.inputs]


def producer_of(value: ir.Value) -> ir.Node:
    """The node that makes ``value``."""
    node = value.producer()
    assert node is not None, value
    return node


def sizes_of(value: ir.Value) -> list[int | str | None]:
    """The shape of ``value``, symbols by name."""
    assert value.shape is not None, value
    return [size if isinstance(size, int) else size.value for size in value.shape]


def session_of(
    model: ir.Model, tensors: Mapping[str, np.ndarray] | None = None, *, threads: int = 1
) -> onnxruntime.InferenceSession:
    """A session, with SeedTune's own settings, over a clone of ``model`` that holds ``tensors``."""
    whole = finish(model.clone())
    for name, (dtype, shape) in used_parameters(whole).items():
        array = np.ascontiguousarray((tensors or {})[name], dtype=dtype.numpy() if dtype.itemsize >= 1 else None)
        if dtype.itemsize >= 1:
            assert array.shape == shape, (name, array.shape, shape)
            whole.graph.initializers[name].const_value = ir.tensor(array, name=name)
        else:
            packed = ir.PackedTensor(array.reshape(-1), dtype, shape=ir.Shape(shape), name=name)
            whole.graph.initializers[name].const_value = packed
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.enable_mem_pattern = False
    options.log_severity_level = 3
    for key, value in CONFIG.items():
        options.add_session_config_entry(key, value)
    return onnxruntime.InferenceSession(
        ir.to_proto(whole).SerializeToString(), options, providers=["CPUExecutionProvider"]
    )


def run(
    model: ir.Model, feeds: Mapping[str, np.ndarray], tensors: Mapping[str, np.ndarray] | None = None
) -> list[np.ndarray]:
    """Every output of ``model``; feeds that the graph does not read are left out."""
    session = session_of(model, tensors)
    read = {value.name for value in session.get_inputs()}
    return session.run(None, {name: value for name, value in feeds.items() if name in read})


# --------------------------------------------------------------------------------------------------- models in memory


@functools.cache
def products_saturate() -> bool:
    """Whether ONNX Runtime's products of unsigned and signed bytes overflow here.

    On x86 without VNNI it adds pairs of them in 16 bits (VPMADDUBSW), which ends at 32,767.
    """
    a, b = make_value("a", ir.DataType.UINT8, [1, 64]), make_value("b", ir.DataType.INT8, [64, 16])
    product = ir.node("MatMulInteger", [a, b])
    (y,) = product.outputs
    y.name, y.dtype, y.shape = "y", ir.DataType.INT32, ir.Shape([1, 16])
    feeds = {"a": np.full((1, 64), 255, np.uint8), "b": np.full((64, 16), 127, np.int8)}
    (found,) = run(make_graph([a, b], [y], [product], []), feeds)
    return int(found[0, 0]) != 64 * 255 * 127
