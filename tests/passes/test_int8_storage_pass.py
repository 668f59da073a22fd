"""int8 layers against float arithmetic on the stored weights: single rows, pairs of both sides, outliers; and int4."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import onnx_ir as ir
import onnxruntime
import pytest
from graph_lab import FLOAT, INT64, make_graph, make_value, products_saturate, run

from seedtune.exporter.passes.emitter import Emitter, set_outputs
from seedtune.exporter.passes.finish import finish, used_parameters
from seedtune.exporter.passes.storage import Reader, store
from seedtune.exporter.storage.encodings import Encoding, decoded
from seedtune.runtime.bundle.manifest import Storage
from seedtune.runtime.graphs.session import CONFIG

pytestmark = pytest.mark.traced

IN, OUT, IDS = 64, 40, 9
GENERATOR = np.random.default_rng(21)
exact_products = pytest.mark.skipif(
    products_saturate(), reason="this processor's 8-bit products overflow (x86 without VNNI): docs/reference/limits.md"
)

few_and_many = pytest.mark.parametrize("few_rows", [False, True], ids=["many-rows", "few-rows"])


def normal(*shape: int) -> np.ndarray:
    return GENERATOR.standard_normal(shape).astype(np.float32)


TENSORS = {"linear": normal(OUT, IN), "bias": normal(OUT), "conv": normal(IN, OUT), "table": normal(IDS, IN)}


def network(*parameters: str, transposed: bool = True) -> ir.Model:
    """x [N, IN] -> y [N, OUT] by one Gemm with the weight (and bias) named."""
    x = make_value("x", FLOAT, ["rows", IN])
    values = [make_value(name, FLOAT, TENSORS[name].shape) for name in parameters]
    model = make_graph([x], [], [], values)
    emit = Emitter(model.graph)
    y = emit.op("Gemm", x, *values, transB=int(transposed))
    emit.append()
    set_outputs(model.graph, {"y": (y, FLOAT, ["rows", OUT])})
    return model


def stored(
    model: ir.Model, pairs: list[int] | None = None, storage: Storage = "int8", few_rows: bool = False
) -> dict[str, np.ndarray]:
    """Stores the matrices of ``model`` and returns all tensors that it reads then."""
    value = None if pairs is None else Emitter(model.graph).integers(*pairs)
    encodings = store([Reader(model.graph, value, few_rows)], storage)
    tensors = dict(TENSORS)
    for name, encoding in encodings.items():
        tensors |= {name + part: array for part, array in encoding.encode(name, TENSORS[name])}
    return tensors


@exact_products
@few_and_many
@pytest.mark.parametrize(
    ("parameters", "transposed", "encoding"),
    [
        (("linear", "bias"), True, Encoding("int8", 0, True)),
        (("linear",), True, Encoding("int8", 0, True)),
        (("conv", "bias"), False, Encoding("int8", 1)),
    ],
    ids=["linear", "without-bias", "conv1d"],
)
def test_a_layer_is_that_of_its_stored_weights_to_the_precision_of_two_digits(
    parameters: tuple[str, ...], transposed: bool, encoding: Encoding, few_rows: bool
) -> None:
    model = network(*parameters, transposed=transposed)
    tensors = stored(model, few_rows=few_rows)
    x = normal(6, IN) * np.array([1, 1e3, 1e-3, 1, 1, 0], np.float32)[:, None]
    x[3, 7] = 500
    (found,) = run(model, {"x": x}, tensors)
    weight = decoded(encoding, TENSORS[parameters[0]]).astype(np.float64)
    exact = x @ (weight.T if transposed else weight) + (TENSORS["bias"] if "bias" in parameters else 0)
    # An input is off by at most half of 1 / (127 * 254) of its row's largest.
    allowed = np.abs(x).max(axis=1) * np.abs(weight).sum(axis=int(transposed)).max() * 0.51 / (127 * 254)
    assert (np.abs(found - exact) <= allowed[:, None] + 1e-5).all()
    assert np.abs(found - exact)[4].max() < 2e-3


@exact_products
@few_and_many
@pytest.mark.parametrize("pairs", [[1, 2, -1], [-1, 2, 3]], ids=["sides-are-rows", "sides-are-tokens"])
def test_both_sides_of_a_pair_keep_their_difference(pairs: list[int], few_rows: bool) -> None:
    model = network("linear", "bias")
    tensors = stored(model, pairs, few_rows=few_rows)
    x = normal(12, IN).reshape(1, 2, 6, IN) if pairs[0] == 1 else normal(12, IN).reshape(2, 2, 3, IN)
    small = 1e-5 * normal(*x[:, 0].shape)
    x[:, 1] = x[:, 0] + small
    x[:, :, 0, 4] += 300
    (found,) = run(model, {"x": x.reshape(12, IN)}, tensors)
    weight = decoded(Encoding("int8", 0, True), TENSORS["linear"])
    y = found.reshape(*x.shape[:3], OUT)
    exact = x.astype(np.float64) @ weight.T.astype(np.float64) + TENSORS["bias"]
    assert np.abs(y - exact)[:, :, 1:].max() < 2e-3
    # The difference that was fed is that of float32 numbers near 1 or near 300, not `small` itself.
    fed = x[:, 1].astype(np.float64) - x[:, 0]
    difference, expected = y[:, 1] - y[:, 0], fed @ weight.T
    correlation = np.corrcoef(difference[:, 1:].ravel(), expected[:, 1:].ravel())[0, 1]
    assert correlation > 0.999


def test_rounding_each_side_for_itself_would_lose_the_difference() -> None:
    """The control of the test above: the same rows without knowing which belong together."""
    model = network("linear", "bias")
    tensors = stored(model)
    x = normal(2, 6, IN)
    x[1] = x[0] + 1e-5 * normal(6, IN)
    (found,) = run(model, {"x": x.reshape(12, IN)}, tensors)
    y = found.reshape(2, 6, OUT)
    expected = (x[1].astype(np.float64) - x[0]) @ decoded(Encoding("int8", 0, True), TENSORS["linear"]).T
    assert np.corrcoef((y[1] - y[0]).ravel(), expected.ravel())[0, 1] < 0.7


@pytest.mark.parametrize("storage", ["int8", "int4"])
def test_a_table_is_looked_up_by_row_in_int8(storage: Storage) -> None:
    ids, table = make_value("ids", INT64, ["batch", "tokens"]), make_value("table", FLOAT, (IDS, IN))
    model = make_graph([ids], [], [], [table])
    emit = Emitter(model.graph)
    y = emit.op("Neg", emit.op("Gather", table, ids, axis=0))
    emit.append()
    set_outputs(model.graph, {"y": (y, FLOAT, ["batch", "tokens", IN])})
    tensors = stored(model, storage=storage)
    indices = np.array([[0, 8, 3], [3, 3, 1]])
    (found,) = run(model, {"ids": indices}, tensors)
    np.testing.assert_array_equal(found, -decoded(Encoding("int8"), TENSORS["table"])[indices])


@few_and_many
def test_layers_that_read_the_same_rows_round_them_once(few_rows: bool) -> None:
    x = make_value("x", FLOAT, ["rows", IN])
    values = [make_value(name, FLOAT, (OUT, IN)) for name in ("linear", "other")]
    model = make_graph([x], [], [], values)
    emit = Emitter(model.graph)
    products = [emit.op("Gemm", x, value, transB=1) for value in values]
    total = emit.op("Add", *products)
    emit.append()
    set_outputs(model.graph, {"y": (total, FLOAT, ["rows", OUT])})
    store([Reader(model.graph, few_rows=few_rows)], "int8")
    types = [node.op_type for node in finish(model).graph]
    assert types.count("QuantizeLinear") == 2
    # A matrix is laid out for each product: once where rows are few.
    assert types.count("MatMulIntegerToFloat") == (2 if few_rows else 4)
    assert types.count("Concat") == int(few_rows)


@pytest.mark.parametrize("storage", ["int8", "int4"])
def test_onnxruntime_keeps_no_wide_copy_of_a_stored_weight(tmp_path: Path, storage: Storage) -> None:
    model = network("linear", "bias")
    tensors = stored(model, [1, 2, -1], storage)
    whole = finish(model)
    for name, (dtype, shape) in used_parameters(whole).items():
        array = tensors[name]
        value = whole.graph.initializers[name]
        if dtype == ir.DataType.INT4:
            value.const_value = ir.PackedTensor(array.reshape(-1), dtype, shape=ir.Shape(shape), name=name)
        else:
            value.const_value = ir.tensor(array, name=name)
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    for key, setting in CONFIG.items():
        options.add_session_config_entry(key, setting)
    options.optimized_model_filepath = str(tmp_path / "optimised.onnx")
    onnxruntime.InferenceSession(ir.to_proto(whole).SerializeToString(), options, providers=["CPUExecutionProvider"])
    optimised = onnx.load(tmp_path / "optimised.onnx")
    large = [tensor for tensor in optimised.graph.initializer if np.prod(tensor.dims) >= IN * OUT]
    expected = onnx.TensorProto.INT8 if storage == "int8" else onnx.TensorProto.INT4
    assert [tensor.data_type for tensor in large] == [expected]


def test_int4_is_the_stored_matrix_times_the_rows() -> None:
    model = network("linear", "bias")
    tensors = stored(model, storage="int4")
    x = normal(5, IN)
    (found,) = run(model, {"x": x}, tensors)
    expected = x @ decoded(Encoding("int4"), TENSORS["linear"]).T + TENSORS["bias"]
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-4)


def test_what_cannot_be_paired_or_split_takes_the_next_wider_kind() -> None:
    model = network("linear", "bias")
    assert store([Reader(model.graph)], "int8", at_least_half={"linear"}) == {"linear": Encoding("fp16")}
    narrow = make_value("narrow", FLOAT, (OUT, 20))
    x = make_value("x", FLOAT, ["rows", 20])
    model = make_graph([x], [], [], [narrow])
    emit = Emitter(model.graph)
    y = emit.op("Gemm", x, narrow, transB=1)
    emit.append()
    set_outputs(model.graph, {"y": (y, FLOAT, ["rows", OUT])})
    assert store([Reader(model.graph)], "int4") == {"narrow": Encoding("int8", 0, True)}
