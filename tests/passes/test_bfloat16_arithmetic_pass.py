"""bfloat16 arithmetic: ONNX Runtime has none on the CPU, and PyTorch's rounds every result."""

import numpy as np
import onnx_ir as ir
import pytest
import torch
from graph_lab import FLOAT, make_graph, make_value, op_types, run

from seedtune.exporter.passes.bfloat16_arithmetic import widen_bfloat16

pytestmark = pytest.mark.traced

BF16 = ir.DataType.BFLOAT16


def typed(node: ir.Node, dtype: ir.DataType, shape: list[int | str]) -> ir.Value:
    (value,) = node.outputs
    value.dtype, value.shape = dtype, ir.Shape(shape)
    return value


def product_graph() -> ir.Model:
    """y = float32(bfloat16(a) * bfloat16(b) + bfloat16(b))."""
    a, b = make_value("a", FLOAT, ["n"]), make_value("b", FLOAT, ["n"])
    to_narrow = [ir.node("Cast", [value], {"to": BF16}) for value in (a, b)]
    narrow = [typed(node, BF16, ["n"]) for node in to_narrow]
    product = ir.node("Mul", narrow)
    total = ir.node("Add", [typed(product, BF16, ["n"]), narrow[1]])
    back = ir.node("Cast", [typed(total, BF16, ["n"])], {"to": FLOAT})
    y = typed(back, FLOAT, ["n"])
    y.name = "y"
    return make_graph([a, b], [y], [*to_narrow, product, total, back], [])


def test_arithmetic_is_wide_and_results_are_rounded() -> None:
    model = product_graph()
    widen_bfloat16(model.graph)
    assert op_types(model.graph) == [
        "Cast", "Cast", "Cast", "Cast", "Mul", "Cast", "Cast", "Cast", "Add", "Cast", "Cast",
    ]  # fmt: skip
    read = [value for node in model.graph for value in node.inputs if node.op_type in ("Mul", "Add")]
    assert all(value is not None and value.dtype == FLOAT for value in read)


def test_numbers_are_those_of_pytorch() -> None:
    generator = np.random.default_rng(3)
    a, b = (generator.standard_normal(2000).astype(np.float32) * 50 for _ in range(2))
    model = product_graph()
    with pytest.raises(Exception, match="NOT_IMPLEMENTED"):
        run(model, {"a": a, "b": b})
    widen_bfloat16(model.graph)
    (found,) = run(model, {"a": a, "b": b})
    narrow_a, narrow_b = torch.from_numpy(a).bfloat16(), torch.from_numpy(b).bfloat16()
    np.testing.assert_array_equal(found, (narrow_a * narrow_b + narrow_b).float().numpy())


def test_a_narrow_output_of_the_graph_stays_narrow() -> None:
    model = product_graph()
    graph = model.graph
    total = next(node for node in graph if node.op_type == "Add").outputs[0]
    graph.outputs[0] = total
    widen_bfloat16(graph)
    assert graph.outputs[0].dtype == BF16
    rounding = graph.outputs[0].producer()
    assert rounding is not None
    assert rounding.op_type == "Cast"


def test_a_graph_without_bfloat16_is_left_alone() -> None:
    a = make_value("a", FLOAT, ["n"])
    node = ir.node("Mul", [a, a])
    y = typed(node, FLOAT, ["n"])
    y.name = "y"
    model = make_graph([a], [y], [node], [])
    widen_bfloat16(model.graph)
    assert op_types(model.graph) == ["Mul"]
