"""What the gradient pass adds to a graph: which operators, for which values, and where it stops."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import onnx_ir as ir
import pytest
from graph_lab import FLOAT, INT64, make_graph, make_value, run

from seedtune.exporter.passes.emitter import Emitter
from seedtune.exporter.passes.gradient.backward import NoRule
from seedtune.exporter.passes.gradient.differentiate import differentiate

GENERATOR = np.random.default_rng(7)


def made(op_type: str, inputs: Sequence[ir.Value], shape: Sequence[int | str], **attributes: int) -> ir.Value:
    """The described output of a new node."""
    node = ir.node(op_type, list(inputs), attributes=attributes)
    node.outputs[0].type, node.outputs[0].shape = ir.TensorType(FLOAT), ir.Shape(list(shape))
    return node.outputs[0]


def constant(array: np.ndarray, name: str) -> ir.Value:
    """A constant of the graph."""
    value = make_value(name, ir.DataType.from_numpy(array.dtype), array.shape)
    value.const_value = ir.tensor(array, name=name)
    return value


def bounds(name: str, *numbers: int) -> ir.Value:
    """An int64 vector."""
    return constant(np.array(numbers, np.int64), name)


def with_gradient(
    inputs: Sequence[ir.Value], result: ir.Value, trained: ir.Value, initializers: Sequence[ir.Value] = ()
) -> tuple[ir.Model, list[str]]:
    """A model whose output is the cotangent of ``trained`` for ones at ``result``, and the operators added for it."""
    nodes: list[ir.Node] = []

    def collect(value: ir.Value) -> None:
        node = value.producer()
        if node is not None and node not in nodes:
            for read in node.inputs:
                if read is not None:
                    collect(read)
            nodes.append(node)

    collect(result)
    model = make_graph(inputs, [], nodes, initializers)
    emit = Emitter(model.graph)
    one = ir.tensor(np.ones(1, np.float32))
    seed = emit.op("ConstantOfShape", emit.op("Shape", result), value=one)
    emit.append()
    found = differentiate(emit, nodes, {result: seed}, trained)
    added = [node.op_type for node in emit.tape.nodes]
    emit.append()
    found.name, found.type = "gradient", ir.TensorType(FLOAT)
    model.graph.outputs.append(found)
    return model, added


def test_operators_of_a_linear_layer_behind_another() -> None:
    """One product a layer on the way down, over the layer's own matrix, and none for the matrices themselves."""
    x, first, second = make_value("x", FLOAT, ["n", 3]), make_value("v", FLOAT, [4, 3]), make_value("w", FLOAT, [2, 4])
    hidden = made("Gemm", [x, first], ["n", 4], transB=1)
    model, added = with_gradient([x], made("Gemm", [hidden, second], ["n", 2], transB=1), x, [first, second])
    assert added == ["Gemm", "Gemm"]
    backward = [node for node in model.graph if node.op_type == "Gemm"][2:]
    assert [node.inputs[1] for node in backward] == [second, first]
    matrices = {
        name: GENERATOR.standard_normal(shape).astype(np.float32) for name, shape in (("v", (4, 3)), ("w", (2, 4)))
    }
    (found,) = run(model, {"x": np.ones((5, 3), np.float32)}, matrices)
    np.testing.assert_allclose(found, np.ones((5, 2)) @ matrices["w"] @ matrices["v"], rtol=1e-5)


def test_a_value_that_is_read_twice_has_both_cotangents() -> None:
    x = make_value("x", FLOAT, [3])
    total = made("Add", [made("Mul", [x, x], [3]), made("Exp", [x], [3])], [3])
    model, _ = with_gradient([x], total, x)
    given = np.array([0.5, -1, 2], np.float32)
    (found,) = run(model, {"x": given})
    np.testing.assert_allclose(found, 2 * given + np.exp(given), rtol=1e-6)


def test_nothing_is_added_for_what_does_not_lead_to_what_is_trained() -> None:
    """Of two branches one reads another input only, and one reads what is trained by way of a comparison."""
    x, other = (make_value(name, FLOAT, [3]) for name in ("x", "other"))
    frozen = made("Tanh", [other], [3])
    node = ir.node("Greater", [x, other])
    node.outputs[0].type = ir.TensorType(ir.DataType.BOOL)
    chosen = made("Where", [node.outputs[0], x, frozen], [3])
    model, added = with_gradient([x, other], chosen, x)
    assert added == ["Where"]
    feeds = {"x": np.array([1, -1, 3], np.float32), "other": np.array([0, 0, 4], np.float32)}
    np.testing.assert_array_equal(run(model, feeds)[0], [1, 0, 0])


def test_slices_of_what_is_trained_are_put_side_by_side_with_zeros_between() -> None:
    state = make_value("state", FLOAT, [10])
    numbers = [bounds(f"n{number}", number) for number in (0, 1, 3, 4, 7)]
    one = made("Slice", [state, numbers[1], numbers[2], numbers[0]], [2])
    two = made("Slice", [state, numbers[3], numbers[4], numbers[0]], [3])
    total = made("Concat", [one, made("Mul", [two, two], [3])], [5], axis=0)
    model, added = with_gradient([state], total, state, numbers)
    assert "Pad" not in added
    (found,) = run(model, {"state": np.arange(10, dtype=np.float32)})
    np.testing.assert_array_equal(found, [0, 1, 1, 0, 8, 10, 12, 0, 0, 0])


def test_slices_that_overlap_are_added_up_with_what_else_reads_the_whole() -> None:
    state = make_value("state", FLOAT, [4])
    numbers = [bounds(f"n{number}", number) for number in range(5)]
    low, high = (made("Slice", [state, numbers[a], numbers[b], numbers[0]], [3]) for a, b in ((0, 3), (1, 4)))
    whole = made("ReduceSum", [state], [1], keepdims=1)
    total = made("Add", [made("Add", [low, high], [3]), whole], [3])
    model, _ = with_gradient([state], total, state, numbers)
    (found,) = run(model, {"state": np.ones(4, np.float32)})
    np.testing.assert_array_equal(found, [4, 5, 5, 4])


def test_the_same_slice_read_twice_is_one() -> None:
    """As with layers that share their weights."""
    state = make_value("state", FLOAT, [4])
    numbers = [bounds(f"n{number}", number) for number in (0, 2)]
    pair = [made("Slice", [state, *numbers, numbers[0]], [2]) for _ in range(2)]
    model, _ = with_gradient([state], made("Mul", pair, [2]), state, numbers)
    (found,) = run(model, {"state": np.array([3, 5, 1, 1], np.float32)})
    np.testing.assert_array_equal(found, [6, 10, 0, 0])


@pytest.mark.parametrize(
    ("op_type", "attributes", "said"),
    [
        ("Cosh", {}, "^Cosh$"),
        ("Pow", {}, "Pow with an exponent that is no number"),
        ("Det", {}, "^Det$"),
    ],
)
def test_an_operator_without_a_rule_is_named(op_type: str, attributes: dict[str, int], said: str) -> None:
    x, other = (make_value(name, FLOAT, [3, 3]) for name in ("x", "other"))
    reads = [x, other] if op_type == "Pow" else [x]
    with pytest.raises(NoRule, match=said):
        with_gradient([x, other], made(op_type, reads, [3, 3], **attributes), x)


def test_arithmetic_in_another_precision_is_refused_and_rounding_is_not() -> None:
    x = make_value("x", FLOAT, [3])
    rounded = made("Cast", [x], [3], to=int(ir.DataType.FLOAT16))
    rounded.type = ir.TensorType(ir.DataType.FLOAT16)
    model, _ = with_gradient([x], made("Mul", [made("Cast", [rounded], [3], to=1), x], [3]), x)
    np.testing.assert_allclose(run(model, {"x": np.ones(3, np.float32)})[0], [2, 2, 2])
    y = make_value("y", FLOAT, [3])
    half = made("Cast", [y], [3], to=int(ir.DataType.FLOAT16))
    powers = made("Exp", [half], [3])
    half.type = powers.type = ir.TensorType(ir.DataType.FLOAT16)
    with pytest.raises(NoRule, match="Exp in float16"):
        with_gradient([y], powers, y)


def test_a_loss_that_does_not_depend_on_what_is_trained_is_refused() -> None:
    x, other = (make_value(name, FLOAT, [3]) for name in ("x", "other"))
    with pytest.raises(NoRule, match="does not depend"):
        with_gradient([x, other], made("Exp", [other], [3]), x)


def test_integers_that_are_made_of_it_carry_nothing() -> None:
    x = make_value("x", FLOAT, [3])
    whole = ir.node("Cast", [x], attributes={"to": int(INT64)})
    whole.outputs[0].type = ir.TensorType(INT64)
    back = made("Cast", [whole.outputs[0]], [3], to=1)
    model, _ = with_gradient([x], made("Add", [x, back], [3]), x)
    np.testing.assert_array_equal(run(model, {"x": np.ones(3, np.float32)})[0], [1, 1, 1])


def test_an_operand_of_which_only_the_type_counts_carries_nothing() -> None:
    x = make_value("x", FLOAT, [3])
    squared = made("Mul", [x, x], [3])
    model, added = with_gradient([x], made("CastLike", [squared, made("Exp", [x], [3])], [3]), x)
    assert "Exp" not in added
    given = np.array([0.5, -1, 2], np.float32)
    np.testing.assert_allclose(run(model, {"x": given})[0], 2 * given, rtol=1e-6)
