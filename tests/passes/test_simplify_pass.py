"""Folding of shape arithmetic, which leaves every parameter without a value as it is."""

import numpy as np
import onnx_ir as ir
from graph_lab import FLOAT, make_graph, make_value, op_types, run, sizes_of

from seedtune.exporter.passes.emitter import Emitter, set_outputs
from seedtune.exporter.passes.simplify import FOLD_LIMIT, simplify

GENERATOR = np.random.default_rng(2)
TENSORS = {
    "weight": GENERATOR.standard_normal((4, 3)).astype(np.float32),
    "bias": GENERATOR.standard_normal(4).astype(np.float32),
}
FEEDS = {"x": GENERATOR.standard_normal((2, 3)).astype(np.float32)}


def network() -> ir.Model:
    """A linear whose parameters pass through foldable operators, and a target shape that can be computed now."""
    x = make_value("x", FLOAT, ["rows", 3])
    parameters = [make_value(name, FLOAT, tensor.shape) for name, tensor in TENSORS.items()]
    model = make_graph([x], [], [], parameters)
    emit = Emitter(model.graph)
    weight, bias = parameters
    y = emit.op("MatMul", x, emit.op("Transpose", weight, perm=[1, 0]))
    y = emit.op("Add", y, emit.op("Neg", bias))
    sizes = emit.op(
        "Concat", emit.op("Neg", emit.integers(1)), emit.op("Add", emit.integers(1), emit.integers(1)), axis=0
    )
    sizes = emit.op("Concat", sizes, emit.integers(2), axis=0)
    y = emit.op("Identity", emit.op("Reshape", y, sizes))
    emit.op("Sqrt", y)
    again = emit.op("Reshape", emit.op("MatMul", x, emit.op("Transpose", weight, perm=[1, 0])), sizes)
    emit.append()
    set_outputs(model.graph, {"y": (y, FLOAT, ["rows", 2, 2]), "z": (again, FLOAT, ["rows", 2, 2])})
    return model


def test_operators_left() -> None:
    model = simplify(network())
    assert op_types(model.graph) == ["Transpose", "MatMul", "Neg", "Add", "Reshape", "Reshape"]


def test_numbers_stay() -> None:
    before = run(network(), FEEDS, TENSORS)
    after = run(simplify(network()), FEEDS, TENSORS)
    for found, expected in zip(after, before, strict=True):
        np.testing.assert_array_equal(found, expected)


def test_no_parameter_gains_a_value_or_goes() -> None:
    graph = simplify(network()).graph
    for name, tensor in TENSORS.items():
        value = graph.initializers[name]
        assert value.const_value is None
        assert sizes_of(value) == list(tensor.shape)


def test_equal_parameters_are_not_merged() -> None:
    """Two parameters without values look alike; only their names tell them apart."""
    x = make_value("x", FLOAT, ["rows", 3])
    first, second = make_value("first", FLOAT, (3,)), make_value("second", FLOAT, (3,))
    model = make_graph([x], [], [], [first, second])
    emit = Emitter(model.graph)
    y = emit.op("Mul", emit.op("Add", x, first), emit.op("Add", x, second))
    emit.append()
    set_outputs(model.graph, {"y": (y, FLOAT, ["rows", 3])})
    tensors = {"first": np.array([1, 2, 3], np.float32), "second": np.array([10, 20, 30], np.float32)}
    (found,) = run(simplify(model), FEEDS, tensors)
    np.testing.assert_array_equal(found, (FEEDS["x"] + tensors["first"]) * (FEEDS["x"] + tensors["second"]))


def test_a_table_above_the_limit_is_computed_rather_than_stored() -> None:
    def table(count: int) -> ir.Model:
        model = make_graph([], [], [], [])
        emit = Emitter(model.graph)
        y = emit.op("Range", *(emit.constant(np.array(value, np.int64)) for value in (0, count, 1)))
        emit.append()
        set_outputs(model.graph, {"y": (y, ir.DataType.INT64, [count])})
        return simplify(model)

    assert "Range" in op_types(table(FOLD_LIMIT + 1).graph)
    assert "Range" not in op_types(table(FOLD_LIMIT // 2).graph)
