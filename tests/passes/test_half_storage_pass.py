"""Matrices in half precision: what becomes float16, the numbers, and that no float32 copy is made in advance."""

from pathlib import Path

import numpy as np
import onnx
import onnx_ir as ir
import onnxruntime
import pytest
from graph_lab import FLOAT, INT64, make_graph, make_value, op_types, run

from seedtune.exporter.passes.emitter import Emitter, set_outputs
from seedtune.exporter.passes.finish import finish, used_parameters
from seedtune.exporter.passes.storage import Reader, store
from seedtune.runtime.graphs.session import CONFIG

pytestmark = pytest.mark.traced

ROWS, WIDE, IDS = 12, 16, 20
GENERATOR = np.random.default_rng(9)
HALF = ir.DataType.FLOAT16


def store_half(graph: ir.Graph, keep: set[str] | None = None) -> set[str]:
    """Names of the parameters that are stored in half precision afterwards."""
    return set(store([Reader(graph)], "fp16", keep or ()))


def normal(*shape: int) -> np.ndarray:
    return GENERATOR.standard_normal(shape).astype(np.float32)


TENSORS = {
    "table": normal(IDS, ROWS),
    "linear": normal(WIDE, ROWS),
    "bias": normal(WIDE),
    "conv": normal(WIDE, ROWS),
    "kept": normal(ROWS, ROWS),
    "added": normal(1, ROWS),
    "cube": normal(1, ROWS, ROWS),
}
FEEDS = {"ids": np.array([[1, 2, 19], [0, 7, 7]])}


def network(small: bool = False) -> ir.Model:
    """ids [B, T] -> y: every kind of reader of a parameter."""
    ids = make_value("ids", INT64, ["batch", "tokens"])
    parameters = {name: make_value(name, FLOAT, tensor.shape) for name, tensor in TENSORS.items()}
    read = [parameters[name] for name in ("table", "linear", "bias")] if small else list(parameters.values())
    model = make_graph([ids], [], [], read)
    emit = Emitter(model.graph)
    x = emit.op("Reshape", emit.op("Gather", parameters["table"], ids, axis=0), emit.integers(-1, ROWS))
    if not small:
        x = emit.op("Add", x, parameters["added"])
    x = emit.op("Gemm", x, parameters["linear"], parameters["bias"], transB=1)
    if not small:
        x = emit.op("MatMul", x, parameters["conv"])
        x = emit.op("MatMul", x, parameters["kept"])
        x = emit.op("MatMul", x, parameters["cube"])
    emit.append()
    set_outputs(model.graph, {"y": (x, FLOAT, ["rows", "width"])})
    model.graph.outputs[0].shape = None
    return model


def test_matrices_read_by_layers_and_gathers_become_half_and_nothing_else() -> None:
    model = network()
    assert store_half(model.graph, keep={"kept"}) == {"table", "linear", "conv"}
    types = {name: dtype for name, (dtype, _) in used_parameters(model).items()}
    halves = {name for name, dtype in types.items() if dtype == HALF}
    assert halves == {"table", "linear", "conv"}
    assert {dtype for name, dtype in types.items() if name not in halves} == {FLOAT}


def test_operators_of_the_widening() -> None:
    widen = ["Shape", "Min", "Add", "Reshape", "Cast"]
    model = network(small=True)
    store_half(model.graph)
    assert op_types(model.graph) == ["Gather", "Cast", "Reshape", *widen, "Gemm"]


def test_numbers_are_those_of_weights_rounded_to_half() -> None:
    model = network()
    halved = store_half(model.graph, keep={"kept"})
    (found,) = run(model, FEEDS, TENSORS)
    rounded = {
        name: tensor.astype(np.float16).astype(np.float32) if name in halved else tensor
        for name, tensor in TENSORS.items()
    }
    (expected,) = run(network(), FEEDS, rounded)
    np.testing.assert_array_equal(found, expected)
    (exact,) = run(network(), FEEDS, TENSORS)
    assert np.abs(found - exact).max() > 1e-4, "the rounding to half precision cannot be seen"
    np.testing.assert_allclose(found, exact, rtol=2e-2, atol=0.5)


def test_a_clone_of_the_graph_keeps_float32() -> None:
    model = network()
    clone = model.clone()
    store_half(model.graph)
    assert {dtype for dtype, _ in used_parameters(clone).values()} == {FLOAT}


def test_a_matrix_with_another_reader_stays_float32() -> None:
    model = network(small=True)
    emit = Emitter(model.graph)
    emit.op("Neg", model.graph.initializers["linear"])
    emit.append()
    assert store_half(model.graph) == {"table"}


def test_a_table_shared_by_gather_and_head_is_widened_at_both() -> None:
    tied = normal(IDS, ROWS)
    ids, weight = make_value("ids", INT64, ["batch", "tokens"]), make_value("tied", FLOAT, tied.shape)

    def build() -> ir.Model:
        model = make_graph([ids], [], [], [weight])
        emit = Emitter(model.graph)
        x = emit.op("Reshape", emit.op("Gather", weight, ids, axis=0), emit.integers(-1, ROWS))
        y = emit.op("Gemm", x, weight, transB=1)
        emit.append()
        set_outputs(model.graph, {"y": (y, FLOAT, ["rows", IDS])})
        return model

    model = build()
    assert store_half(model.graph) == {"tied"}
    assert op_types(model.graph).count("Cast") == 2
    (found,) = run(model, FEEDS, {"tied": tied})
    rounded = tied.astype(np.float16).astype(np.float32)
    np.testing.assert_allclose(found, rounded[FEEDS["ids"].reshape(-1)] @ rounded.T, rtol=1e-4, atol=1e-4)


def optimised(model: ir.Model, folder: Path) -> onnx.ModelProto:
    """What ONNX Runtime makes of ``model`` at SeedTune's settings."""
    whole = finish(model)
    for name, (dtype, _) in used_parameters(whole).items():
        whole.graph.initializers[name].const_value = ir.tensor(TENSORS[name].astype(dtype.numpy()), name=name)
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    for key, value in CONFIG.items():
        options.add_session_config_entry(key, value)
    options.optimized_model_filepath = str(folder / "optimised.onnx")
    onnxruntime.InferenceSession(ir.to_proto(whole).SerializeToString(), options, providers=["CPUExecutionProvider"])
    return onnx.load(folder / "optimised.onnx")


def wide_copies(proto: onnx.ModelProto, shapes: set[tuple[int, ...]]) -> list[str]:
    """Float32 initializers of one of ``shapes``, in either orientation."""
    return [
        tensor.name
        for tensor in proto.graph.initializer
        if tensor.data_type == onnx.TensorProto.FLOAT and ({tuple(tensor.dims), tuple(tensor.dims)[::-1]} & shapes)
    ]


def test_onnxruntime_folds_no_float32_copy_of_a_weight(tmp_path: Path) -> None:
    model = network(small=True)
    store_half(model.graph)
    proto = optimised(model, tmp_path)
    assert wide_copies(proto, {(WIDE, ROWS), (IDS, ROWS)}) == []
    assert sum(t.data_type == onnx.TensorProto.FLOAT16 for t in proto.graph.initializer) == 2


def test_a_plain_cast_would_be_folded(tmp_path: Path) -> None:
    """The control of the test above: what the pass avoids is there without it, and is seen."""
    model = network(small=True)
    weight = model.graph.initializers["linear"]
    weight.type = ir.TensorType(HALF)
    gemm = next(node for node in model.graph if node.op_type == "Gemm")
    emit = Emitter(model.graph)
    wide = emit.op("Cast", weight, to=FLOAT)
    emit.insert_before(gemm)
    gemm.replace_input_with(1, wide)
    assert len(wide_copies(optimised(model, tmp_path), {(WIDE, ROWS)})) == 1
