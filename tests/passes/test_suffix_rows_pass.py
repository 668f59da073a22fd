"""The inputs of a suffix graph: what a caller feeds against the masks, places and signs that become of it."""

import numpy as np
import onnx_ir as ir
import pytest
from graph_lab import FLOAT, INT64, make_graph, make_value, op_types, run

from seedtune.exporter.passes.emitter import set_outputs
from seedtune.exporter.passes.perturbed_rows import signs_of_doubled_tokens
from seedtune.exporter.passes.suffix_rows import HIDDEN, present_suffix

NAMES: dict[str, tuple[ir.DataType, list[int | str]]] = {
    "ids": (INT64, ["batch", "tokens"]),
    "positions": (INT64, ["batch", "tokens"]),
    "position": (INT64, ["batch", "scored"]),
    "context_mask": (FLOAT, ["batch", "context"]),
    "self_mask": (FLOAT, ["batch", "tokens", "tokens"]),
    "keys": (FLOAT, [1, "batch", 1, "context", 2]),
}
BATCH, TOKENS, CONTEXT = 2, 3, 5
FEEDS = {
    "ids": np.array([[11, 12, 13], [21, 22, 23]]),
    "mask": np.array([[1, 1, 1], [1, 1, 0]]),
    "positions": np.array([[4, 5, 6], [2, 7, 0]]),
    "position": np.array([2, 1]),
    "context_length": np.array([4, 0]),
    "keys": np.zeros((1, BATCH, 1, CONTEXT, 2), np.float32),
}


def present(family: str, sides: int) -> tuple[ir.Model, dict[str, np.ndarray]]:
    """The rewritten graph that hands out what the trunk would read, and what that is for `FEEDS`."""
    inputs = [make_value(name, dtype, shape) for name, (dtype, shape) in NAMES.items()]
    nodes = [ir.node("Identity", [value]) for value in inputs]
    model = make_graph(inputs, [], nodes, [])
    outputs = zip(NAMES.items(), nodes, strict=True)
    set_outputs(
        model.graph,
        {
            f"read_{name}": (node.outputs[0], dtype, [f"{name}_{axis}" for axis, _ in enumerate(shape)])
            for (name, (dtype, shape)), node in outputs
        },
    )
    present_suffix(model.graph, family, sides)
    return model, dict(zip(NAMES, run(model, FEEDS), strict=True))


def expected_self_mask(family: str, sides: int) -> np.ndarray:
    """[B, sides * S, sides * S], place by place."""
    mask = np.full((BATCH, sides * TOKENS, sides * TOKENS), HIDDEN, np.float32)
    for row in range(BATCH):
        for side in range(sides):
            for reader in range(TOKENS):
                for seen in range(TOKENS):
                    if FEEDS["mask"][row, seen] and (family == "masked" or seen <= reader):
                        mask[row, side * TOKENS + reader, side * TOKENS + seen] = 0
    return mask


@pytest.mark.parametrize("sides", [1, 2])
@pytest.mark.parametrize("family", ["causal", "masked"])
def test_a_token_sees_tokens_of_its_own_side_and_no_padding(family: str, sides: int) -> None:
    _, found = present(family, sides)
    np.testing.assert_array_equal(found["self_mask"], expected_self_mask(family, sides))


@pytest.mark.parametrize("sides", [1, 2])
def test_tokens_and_places_stand_side_by_side_in_one_row(sides: int) -> None:
    _, found = present("causal", sides)
    for name in ("ids", "positions"):
        np.testing.assert_array_equal(found[name], np.concatenate([FEEDS[name]] * sides, axis=1))
    np.testing.assert_array_equal(found["position"], [[2, 5], [1, 4]] if sides == 2 else [[2], [1]])


@pytest.mark.parametrize("sides", [1, 2])
def test_a_context_is_seen_up_to_its_length_and_never_repeated(sides: int) -> None:
    _, found = present("masked", sides)
    expected = np.full((BATCH, CONTEXT), HIDDEN, np.float32)
    expected[0, :4] = 0
    np.testing.assert_array_equal(found["context_mask"], expected)
    assert found["keys"].shape == FEEDS["keys"].shape


def test_the_inputs_are_what_a_caller_has() -> None:
    model, _ = present("causal", 2)
    found = {value.name for value in model.graph.inputs}
    assert found == {"ids", "mask", "positions", "position", "context_length", "keys"}


def signs_graph() -> ir.Model:
    """ids, epsilon -> signs."""
    ids, epsilon = make_value("ids", INT64, ["batch", "tokens"]), make_value("epsilon", FLOAT, [1])
    model = make_graph([ids, epsilon], [], [ir.node("Identity", [ids])], [])
    signs = signs_of_doubled_tokens(model.graph, ids, epsilon)
    set_outputs(model.graph, {"signs": (signs, FLOAT, ["rows", 1])})
    return model


def test_signs_follow_the_sides_within_each_row() -> None:
    assert op_types(signs_graph().graph) == ["Shape", "Expand", "Neg", "Concat", "Reshape", "Identity"]
    for batch, tokens in ((1, 1), (1, 7), (3, 1), (4, 5)):
        feeds: dict[str, np.ndarray] = {
            "ids": np.zeros((batch, tokens), np.int64),
            "epsilon": np.array([0.125], np.float32),
        }
        (signs,) = run(signs_graph(), feeds)
        of_row = [[0.125]] * tokens + [[-0.125]] * tokens
        np.testing.assert_array_equal(signs, np.array(of_row * batch, np.float32))
