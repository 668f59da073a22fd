"""The low-rank term against the formula in numpy, and the operators that carry it."""

import numpy as np
import onnx_ir as ir
import pytest
from graph_lab import FLOAT, make_graph, make_value, op_types, run

from seedtune.exporter.passes.emitter import Emitter, set_outputs
from seedtune.exporter.passes.linear_layout import normalise_linears
from seedtune.exporter.passes.low_rank_target import Perturbation, attach_targets
from seedtune.runtime.bundle.manifest import StateLayout, Target

IN, MIDDLE, RANK, N = 6, 5, 3, 8
EPSILON = 0.25
LAYOUT = StateLayout(
    96,
    RANK,
    0,
    (
        Target("a", "a.lora_A.weight", 0, MIDDLE, IN, RANK),
        Target("b", "a.lora_A.weight", 32, MIDDLE, IN, RANK),
        Target("c", "c.lora_A.weight", 64, IN, MIDDLE, RANK),
    ),
)
GENERATOR = np.random.default_rng(4)


def normal(*shape: int) -> np.ndarray:
    return GENERATOR.standard_normal(shape).astype(np.float32)


TENSORS = {
    "a.weight": normal(MIDDLE, IN),
    "a.bias": normal(MIDDLE),
    "b.weight": normal(MIDDLE, IN),
    "c.weight": normal(IN, MIDDLE),
    "a.lora_A.weight": normal(RANK, IN),
    "c.lora_A.weight": normal(RANK, MIDDLE),
}
SIGNS = np.array([[EPSILON]] * (N // 2) + [[-EPSILON]] * (N // 2), np.float32)
STATE, NOISE = normal(96), GENERATOR.choice([-1.0, 1.0], 96).astype(np.float32)
FEEDS = {"x": normal(N, IN), "state": STATE, "signs": SIGNS, "noise": NOISE}


def network(perturbed: bool, targets: tuple[Target, ...] = LAYOUT.targets) -> ir.Model:
    """y = c(a(x) * b(x)), the raw product too, with the low-rank terms of ``targets`` attached."""
    x, state = make_value("x", FLOAT, ["rows", IN]), make_value("state", FLOAT, [96])
    signs, noise = make_value("signs", FLOAT, ["rows", 1]), make_value("noise", FLOAT, [96])
    weights = {
        name: make_value(name, FLOAT, TENSORS[name].shape) for name in ("a.weight", "a.bias", "b.weight", "c.weight")
    }
    a = ir.node("Gemm", [x, weights["a.weight"], weights["a.bias"]], {"transB": 1})
    b = ir.node("Gemm", [x, weights["b.weight"]], {"transB": 1})
    product = ir.node("Mul", [a.outputs[0], b.outputs[0]])
    c = ir.node("Gemm", [product.outputs[0], weights["c.weight"]], {"transB": 1})
    end = ir.node("Identity", [c.outputs[0]])
    model = make_graph([x, state, signs, noise], [], [a, b, product, c, end], list(weights.values()))
    set_outputs(
        model.graph,
        {"y": (end.outputs[0], FLOAT, ["rows", IN]), "product": (product.outputs[0], FLOAT, ["rows", MIDDLE])},
    )

    def noise_of(emit: Emitter, target: Target) -> ir.Value:
        last = target.offset + target.out_features * target.rank
        part = emit.op("Slice", noise, emit.integers(target.offset), emit.integers(last), emit.integers(0))
        return emit.op("Reshape", part, emit.integers(target.out_features, target.rank))

    linears = normalise_linears(model.graph)
    attach_targets(model.graph, linears, targets, state, Perturbation(signs, noise_of) if perturbed else None)
    return model


def plain(state_of_row: np.ndarray, targets: tuple[Target, ...] = LAYOUT.targets) -> tuple[np.ndarray, np.ndarray]:
    """The network in float64; ``state_of_row`` [N, 96] is the state that each row sees."""
    wide = {name: tensor.astype(np.float64) for name, tensor in TENSORS.items()}
    y, product = np.empty((N, IN)), np.empty((N, MIDDLE))
    for row in range(N):
        weights = {name: wide[f"{name}.weight"].copy() for name in "abc"}
        for target in targets:
            size = target.out_features * RANK
            b = state_of_row[row, target.offset : target.offset + size].reshape(-1, RANK)
            weights[target.name] += b @ wide[target.lora_a]
        x = FEEDS["x"][row].astype(np.float64)
        product[row] = (weights["a"] @ x + wide["a.bias"]) * (weights["b"] @ x)
        y[row] = weights["c"] @ product[row]
    return y, product


def assert_close(found: list[np.ndarray], expected: tuple[np.ndarray, np.ndarray]) -> None:
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-4)


def test_evaluation_adds_b_a_x() -> None:
    assert_close(run(network(False), FEEDS, TENSORS), plain(np.repeat(STATE[None], N, 0)))


def test_each_side_sees_its_own_perturbed_state() -> None:
    state_of_row = STATE[None] + SIGNS * NOISE[None]
    assert_close(run(network(True), FEEDS, TENSORS), plain(state_of_row))


def test_a_zero_state_is_the_untouched_network() -> None:
    untouched = run(network(False, ()), FEEDS, TENSORS)
    found = run(network(False), FEEDS | {"state": np.zeros(96, np.float32)}, TENSORS)
    for one, other in zip(found, untouched, strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("chosen", [(0,), (1,), (2,), (0, 2)])
def test_only_the_chosen_linears_carry_state(chosen: tuple[int, ...]) -> None:
    targets = tuple(LAYOUT.targets[index] for index in chosen)
    assert_close(run(network(True, targets), FEEDS, TENSORS), plain(STATE[None] + SIGNS * NOISE[None], targets))


def test_the_evaluation_form_has_no_noise_and_no_signs() -> None:
    model = network(False)
    b = ["Slice", "Reshape", "Gemm"]
    first = ["Gemm", "Gemm", *b]
    assert op_types(model.graph) == [*first, "Gemm", *b, "Mul", *first, "Identity"]
    assert not list(model.graph.inputs[2].uses())
    assert not list(model.graph.inputs[3].uses())


def test_the_perturbed_form_joins_both_products_into_one_gemm() -> None:
    b = ["Slice", "Reshape", "Slice", "Reshape", "Concat", "Gemm"]
    first = ["Gemm", "Gemm", "Mul", "Concat", *b]
    assert op_types(network(True).graph) == [*first, "Gemm", *b, "Mul", *first, "Identity"]


def test_linears_on_the_same_rows_share_a_and_its_product() -> None:
    graph = network(True).graph
    readers = {name: len(list(graph.initializers[name].uses())) for name in ("a.lora_A.weight", "c.lora_A.weight")}
    assert readers == {"a.lora_A.weight": 1, "c.lora_A.weight": 1}


def test_a_term_attaches_to_a_linear_whose_output_the_graph_returns() -> None:
    """Rank-2 models end in a Gemm: its output is a graph output, with no reader to redirect."""
    x, state = make_value("x", FLOAT, ["rows", IN]), make_value("state", FLOAT, [96])
    weight = make_value("a.weight", FLOAT, (MIDDLE, IN))
    node = ir.node("Gemm", [x, weight], {"transB": 1})
    model = make_graph([x, state], [], [node], [weight])
    set_outputs(model.graph, {"y": (node.outputs[0], FLOAT, ["rows", MIDDLE])})
    attach_targets(model.graph, normalise_linears(model.graph), LAYOUT.targets[:1], state, None)
    (found,) = run(model, FEEDS, TENSORS)
    b = STATE[: MIDDLE * RANK].reshape(MIDDLE, RANK)
    expected = FEEDS["x"] @ (TENSORS["a.weight"] + b @ TENSORS["a.lora_A.weight"]).T
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-4)
