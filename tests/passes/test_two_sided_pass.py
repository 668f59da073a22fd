"""Doubling of rows, and the signs of the two sides."""

import numpy as np
import onnx_ir as ir
from graph_lab import FLOAT, INT64, input_names, make_graph, make_value, op_types, run

from seedtune.exporter.passes.emitter import set_outputs
from seedtune.exporter.passes.perturbed_rows import signs_of_doubled_rows
from seedtune.exporter.passes.two_sided import double_rows


def inputs_graph() -> ir.Model:
    """ids, mask [B, T], position and other [B] -> each of them negated, ids also added to mask."""
    names = {"ids": ["batch", "tokens"], "mask": ["batch", "tokens"], "position": ["batch"], "other": ["batch"]}
    inputs = [make_value(name, INT64, shape) for name, shape in names.items()]
    nodes = [ir.node("Neg", [value]) for value in inputs] + [ir.node("Add", inputs[:2])]
    model = make_graph(inputs, [], nodes, [])
    set_outputs(
        model.graph, {f"out_{i}": (node.outputs[0], INT64, ["rows", "tokens"][: 2 if i in (0, 1, 4) else 1])
                      for i, node in enumerate(nodes)}
    )  # fmt: skip
    return model


FEEDS = {
    "ids": np.arange(12).reshape(3, 4),
    "mask": np.arange(12).reshape(3, 4) * 100,
    "position": np.array([5, 6, 7]),
    "other": np.array([8, 9, 10]),
}


def test_doubling_adds_one_concat_per_named_input_in_front() -> None:
    model = inputs_graph()
    double_rows(model.graph)
    assert op_types(model.graph) == ["Concat"] * 3 + ["Neg"] * 4 + ["Add"]
    first = next(iter(model.graph))
    assert input_names(first) == ["ids", "ids"]
    assert [value.name for value in model.graph.inputs] == list(FEEDS)


def test_doubling_repeats_the_rows_of_the_named_inputs_only() -> None:
    before = run(inputs_graph(), FEEDS)
    model = inputs_graph()
    double_rows(model.graph)
    after = run(model, FEEDS)
    for index in (0, 1, 2, 4):
        np.testing.assert_array_equal(after[index], np.concatenate([before[index]] * 2))
    np.testing.assert_array_equal(after[3], before[3])


def test_no_other_reader_of_an_input_is_left_undoubled() -> None:
    model = inputs_graph()
    double_rows(model.graph)
    for value in model.graph.inputs[:3]:
        assert {use.node.op_type for use in value.uses()} == {"Concat"}


def signs_graph() -> ir.Model:
    """ids, epsilon -> signs."""
    ids, epsilon = make_value("ids", INT64, ["batch", "tokens"]), make_value("epsilon", FLOAT, [1])
    unused = ir.node("Identity", [ids])
    model = make_graph([ids, epsilon], [], [unused], [])
    signs = signs_of_doubled_rows(model.graph, ids, epsilon)
    set_outputs(model.graph, {"signs": (signs, FLOAT, ["rows", 1])})
    return model


def test_operators_of_the_signs_stand_in_front() -> None:
    assert op_types(signs_graph().graph) == ["Size", "Reshape", "Concat", "Expand", "Neg", "Concat", "Identity"]


def test_signs_are_plus_for_the_first_half_of_the_token_rows_and_minus_for_the_second() -> None:
    for shape in ((1, 1), (1, 7), (3, 1), (4, 5)):
        feeds: dict[str, np.ndarray] = {"ids": np.zeros(shape, np.int64), "epsilon": np.array([0.125], np.float32)}
        (signs,) = run(signs_graph(), feeds)
        rows = shape[0] * shape[1]
        expected = np.array([[0.125]] * rows + [[-0.125]] * rows, np.float32)
        np.testing.assert_array_equal(signs, expected)
        assert signs.dtype == np.float32
