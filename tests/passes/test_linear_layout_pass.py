"""The four forms of a linear layer: the operators that are left, and the numbers they give."""

import numpy as np
import onnx_ir as ir
import pytest
from graph_lab import FLOAT, Build, input_names, make_graph, make_value, op_types, producer_of, run, sizes_of

from seedtune.exporter.passes.emitter import set_outputs
from seedtune.exporter.passes.linear_layout import normalise_linears

ROWS_IN, WIDE = 6, 5
LINEAR = ["Reshape", "Gemm", "Shape", "Concat", "Reshape"]
GENERATOR = np.random.default_rng(11)
TENSORS = {
    "a.weight": GENERATOR.standard_normal((WIDE, ROWS_IN)).astype(np.float32),
    "b.weight": GENERATOR.standard_normal((WIDE, ROWS_IN)).astype(np.float32),
    "conv.weight": GENERATOR.standard_normal((ROWS_IN, WIDE)).astype(np.float32),
    "a.bias": GENERATOR.standard_normal(WIDE).astype(np.float32),
    "scalar": GENERATOR.standard_normal(1).astype(np.float32),
}
X3 = {"x": GENERATOR.standard_normal((2, 3, ROWS_IN)).astype(np.float32)}
X2 = {"x": GENERATOR.standard_normal((4, ROWS_IN)).astype(np.float32)}


class Hand:
    """A graph under construction over the input x."""

    def __init__(self, rank: int = 3) -> None:
        shape: list[int | str] = ["batch", "tokens", ROWS_IN] if rank == 3 else ["rows", ROWS_IN]
        self.x = make_value("x", FLOAT, shape)
        self.nodes: list[ir.Node] = []
        self.parameters: dict[str, ir.Value] = {}

    def parameter(self, name: str) -> ir.Value:
        return self.parameters.setdefault(name, make_value(name, FLOAT, TENSORS[name].shape))

    def op(self, kind: str, *inputs: ir.Value, **attributes: float | list[int]) -> ir.Value:
        self.nodes.append(ir.node(kind, list(inputs), attributes))
        return self.nodes[-1].outputs[0]

    def torch_linear(self, weight: str, x: ir.Value | None = None) -> ir.Value:
        transposed = self.op("Transpose", self.parameter(weight), perm=[1, 0])
        return self.op("MatMul", x or self.x, transposed)

    def model(self, *outputs: ir.Value) -> ir.Model:
        model = make_graph([self.x], [], self.nodes, list(self.parameters.values()))
        rank = len(sizes_of(self.x))
        shape = ["batch", "tokens", "width"] if rank == 3 else ["rows", "width"]
        set_outputs(model.graph, {f"y_{i}": (value, FLOAT, shape) for i, value in enumerate(outputs)})
        return model


def same_numbers(build: Build, feeds: dict[str, np.ndarray]) -> None:
    """The rewritten graph gives what the untouched one gives."""
    before = run(build(), feeds, TENSORS)
    model = build()
    normalise_linears(model.graph)
    after = run(model, feeds, TENSORS)
    assert len(before) == len(after)
    for found, expected in zip(after, before, strict=True):
        assert found.shape == expected.shape
        np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5)


def plain_linear() -> ir.Model:
    hand = Hand()
    return hand.model(hand.torch_linear("a.weight"))


def linear_with_bias() -> ir.Model:
    hand = Hand()
    return hand.model(hand.op("Add", hand.torch_linear("a.weight"), hand.parameter("a.bias")))


def linear_with_bias_first() -> ir.Model:
    hand = Hand()
    product = hand.torch_linear("a.weight")
    return hand.model(hand.op("Add", hand.parameter("a.bias"), product))


def gemm() -> ir.Model:
    hand = Hand(rank=2)
    return hand.model(hand.op("Gemm", hand.x, hand.parameter("a.weight"), hand.parameter("a.bias"), transB=1))


def conv1d_matmul() -> ir.Model:
    hand = Hand()
    return hand.model(hand.op("MatMul", hand.x, hand.parameter("conv.weight")))


def conv1d_gemm() -> ir.Model:
    hand = Hand(rank=2)
    return hand.model(hand.op("Gemm", hand.x, hand.parameter("conv.weight"), hand.parameter("a.bias")))


@pytest.mark.parametrize(
    ("build", "expected", "transposed"),
    [
        (plain_linear, LINEAR, True),
        (linear_with_bias, LINEAR, True),
        (linear_with_bias_first, LINEAR, True),
        (gemm, ["Gemm"], True),
        (conv1d_matmul, LINEAR, False),
        (conv1d_gemm, ["Gemm"], False),
    ],
)
def test_operators_left_by_each_form(build: Build, expected: list[str], transposed: bool) -> None:
    model = build()
    (linear,) = normalise_linears(model.graph)
    assert op_types(model.graph) == expected
    gemm_node = producer_of(linear.output)
    assert gemm_node.op_type == "Gemm"
    assert gemm_node.inputs[0] is linear.rows
    assert input_names(gemm_node)[1] == linear.weight == ("a.weight" if transposed else "conv.weight")
    assert (linear.in_features, linear.out_features) == (ROWS_IN, WIDE)
    assert linear.name == linear.weight.removesuffix(".weight")
    attribute = gemm_node.attributes.get("transB")
    assert (attribute is not None and attribute.as_int() == 1) is transposed


@pytest.mark.parametrize("build", [linear_with_bias, linear_with_bias_first])
def test_the_bias_becomes_the_third_input_of_the_gemm(build: Build) -> None:
    model = build()
    (linear,) = normalise_linears(model.graph)
    assert input_names(producer_of(linear.output))[1:] == ["a.weight", "a.bias"]


@pytest.mark.parametrize(
    ("build", "feeds"),
    [
        (plain_linear, X3),
        (linear_with_bias, X3),
        (linear_with_bias_first, X3),
        (gemm, X2),
        (conv1d_matmul, X3),
        (conv1d_gemm, X2),
    ],
)
def test_numbers_of_each_form_stay(build: Build, feeds: dict[str, np.ndarray]) -> None:
    same_numbers(build, feeds)


def two_readers() -> ir.Model:
    hand = Hand()
    return hand.model(hand.torch_linear("a.weight"), hand.torch_linear("b.weight"))


def test_linears_on_the_same_rows_share_their_reshape() -> None:
    model = two_readers()
    first, second = normalise_linears(model.graph)
    assert first.rows is second.rows
    assert op_types(model.graph) == [*LINEAR, *LINEAR[1:]]
    same_numbers(two_readers, X3)


def shared_transpose() -> ir.Model:
    hand = Hand()
    transposed = hand.op("Transpose", hand.parameter("a.weight"), perm=[1, 0])
    other = hand.op("Neg", transposed)
    return hand.model(hand.op("Add", hand.op("MatMul", hand.x, transposed), hand.op("MatMul", hand.x, other)))


def test_a_transpose_stays_only_for_another_reader() -> None:
    model = shared_transpose()
    assert len(normalise_linears(model.graph)) == 1
    assert op_types(model.graph).count("Transpose") == 1
    assert op_types(model.graph).count("MatMul") == 1
    same_numbers(shared_transpose, X3)


def weight_used_twice() -> ir.Model:
    hand = Hand()
    transposed = hand.op("Transpose", hand.parameter("a.weight"), perm=[1, 0])
    return hand.model(hand.op("MatMul", hand.x, transposed), hand.op("MatMul", hand.op("Neg", hand.x), transposed))


def test_a_transpose_that_two_linears_share_goes_with_the_second() -> None:
    model = weight_used_twice()
    assert [linear.weight for linear in normalise_linears(model.graph)] == ["a.weight", "a.weight"]
    assert "Transpose" not in op_types(model.graph)
    same_numbers(weight_used_twice, X3)


def square() -> ir.Model:
    hand = Hand()
    left = hand.op("Transpose", hand.x, perm=[0, 2, 1])
    return hand.model(hand.op("MatMul", hand.x, left))


def transposed_otherwise() -> ir.Model:
    """A weight transposed by [0, 1] is a weight [i, o], computed: no linear of ours."""
    hand = Hand()
    return hand.model(hand.op("MatMul", hand.x, hand.op("Transpose", hand.parameter("conv.weight"), perm=[0, 1])))


def scaled_gemm() -> ir.Model:
    hand = Hand(rank=2)
    return hand.model(hand.op("Gemm", hand.x, hand.parameter("a.weight"), transB=1, alpha=0.5))


def weight_on_the_left() -> ir.Model:
    hand = Hand()
    right = hand.op("Transpose", hand.x, perm=[0, 2, 1])
    return hand.model(hand.op("MatMul", hand.parameter("a.weight"), right))


@pytest.mark.parametrize(
    ("build", "feeds"),
    [(square, X3), (transposed_otherwise, X3), (scaled_gemm, X2), (weight_on_the_left, X3)],
)
def test_what_is_no_linear_is_left_alone(build: Build, feeds: dict[str, np.ndarray]) -> None:
    model = build()
    before = op_types(model.graph)
    assert normalise_linears(model.graph) == []
    assert op_types(model.graph) == before
    same_numbers(build, feeds)


def bias_of_another_kind(name: str) -> ir.Model:
    hand = Hand()
    product = hand.torch_linear("a.weight")
    other = hand.parameter(name) if name != "x" else hand.op("MatMul", hand.x, hand.parameter("conv.weight"))
    return hand.model(hand.op("Add", product, other))


@pytest.mark.parametrize("name", ["scalar", "x"])
def test_an_addition_that_is_no_bias_stays(name: str) -> None:
    model = bias_of_another_kind(name)
    linears = normalise_linears(model.graph)
    assert op_types(model.graph).count("Add") == 1
    assert all(len(producer_of(linear.output).inputs) == 2 for linear in linears)
    same_numbers(lambda: bias_of_another_kind(name), X3)


def product_read_twice() -> ir.Model:
    hand = Hand()
    product = hand.torch_linear("a.weight")
    return hand.model(hand.op("Add", product, hand.parameter("a.bias")), product)


def test_a_bias_is_not_fused_where_the_bare_product_is_an_output_too() -> None:
    """The product is a graph output: with the bias fused into it, that output would change."""
    same_numbers(product_read_twice, X3)


def test_folded_parameters_are_no_weights() -> None:
    hand = Hand()
    model = hand.model(hand.torch_linear("a.weight"))
    model.graph.initializers["a.weight"].const_value = ir.tensor(TENSORS["a.weight"], name="a.weight")
    assert normalise_linears(model.graph) == []
