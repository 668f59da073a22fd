"""The probe graph of scope "suffix" against itself: sides that do not meet, padding without effect, one context."""

import msgspec
import numpy as np
import onnx_ir as ir
import onnxruntime
import pytest
from export_lab import Export, largest_difference, random_state
from suffix_rows_lab import SplitGraphs, SplitRow, split_rows

from seedtune.exporter.passes.context_storage import TYPES
from seedtune.exporter.passes.finish import finish, used_parameters
from seedtune.runtime.bundle.objective import ContextStorage
from seedtune.runtime.estimators.scores import SCORES
from seedtune.runtime.noise import rademacher

pytestmark = pytest.mark.traced

EPSILON, SEED = 1e-2, 4_000_000_007
# Both graphs compute in float32, with other kernel shapes.
ROUNDING = 1e-5
# What may stand between a stored context and the products that read it.
LAYOUT_OPERATORS = {"Gather", "Slice", "Squeeze", "Cast", "Mul", "Transpose"}


@pytest.fixture(scope="module")
def state(suffix_graphs: SplitGraphs) -> np.ndarray:
    """Far from zero everywhere."""
    return random_state(suffix_graphs.export.layout, 5e-2)


@pytest.fixture(scope="module")
def rows(suffix_graphs: SplitGraphs) -> list[SplitRow]:
    """Different contexts and suffixes, one row without a context."""
    return split_rows(suffix_graphs.export.family)


def test_each_side_is_the_eval_graph_at_its_own_state(
    suffix_graphs: SplitGraphs, rows: list[SplitRow], state: np.ndarray
) -> None:
    feeds, noise = suffix_graphs.feeds(rows), rademacher(SEED, len(state))
    found = suffix_graphs.probe(feeds, state, SEED, EPSILON)
    for side, sign in zip(found, (1, -1), strict=True):
        moved = state + np.float32(sign * EPSILON) * noise
        (expected,) = suffix_graphs.session("eval").run(["loss"], feeds | {"state": moved})
        assert largest_difference(side, expected) < ROUNDING
    assert largest_difference(found[0], found[1]) > 100 * ROUNDING


@pytest.mark.parametrize("side", [0, 1], ids=["plus", "minus"])
def test_a_side_does_not_change_with_the_perturbation_of_the_other(
    suffix_graphs: SplitGraphs, rows: list[SplitRow], state: np.ndarray, side: int
) -> None:
    """Another state and epsilon that meet at this side: ``state + e z = (state + (e - f) z) + f z``."""
    feeds, noise = suffix_graphs.feeds(rows), rademacher(SEED, len(state))
    sign, other = (1, -1)[side], 30 * EPSILON
    shifted = state + np.float32(sign * (EPSILON - other)) * noise
    before = suffix_graphs.probe(feeds, state, SEED, EPSILON)
    after = suffix_graphs.probe(feeds, shifted, SEED, other)
    assert largest_difference(before[side], after[side]) < 5 * ROUNDING
    assert np.abs(before[1 - side] - after[1 - side]).min() > 100 * ROUNDING


def test_another_epsilon_sign_swaps_the_sides(
    suffix_graphs: SplitGraphs, rows: list[SplitRow], state: np.ndarray
) -> None:
    feeds = suffix_graphs.feeds(rows)
    found = suffix_graphs.probe(feeds, state, SEED, EPSILON)
    swapped = suffix_graphs.probe(feeds, state, SEED, -EPSILON)
    assert largest_difference(found, swapped[::-1]) < ROUNDING


@pytest.mark.parametrize("padding", [{"context_padding": 4}, {"suffix_padding": 3}], ids=["context", "suffix"])
@pytest.mark.parametrize("filled", [False, True], ids=["zeros", "anything"])
def test_padding_changes_no_row(
    suffix_graphs: SplitGraphs, rows: list[SplitRow], state: np.ndarray, padding: dict[str, int], filled: bool
) -> None:
    expected = suffix_graphs.probe(suffix_graphs.feeds(rows), state, SEED, EPSILON)
    filler = np.random.default_rng(1) if filled else None
    padded = suffix_graphs.feeds(rows, **padding, filler=filler)
    assert largest_difference(suffix_graphs.probe(padded, state, SEED, EPSILON), expected) < ROUNDING


def test_a_batch_may_have_no_context_at_all(suffix_graphs: SplitGraphs, state: np.ndarray) -> None:
    """One place of padding stands in for it."""
    family = suffix_graphs.export.family
    rows = split_rows(family, ((0, 3), (0, 5)))
    feeds = suffix_graphs.feeds(rows)
    assert feeds["keys"].shape[3] == 1
    mixed = suffix_graphs.feeds([*rows, *split_rows(family, ((6, 2),))])
    expected = suffix_graphs.probe(mixed, state, SEED, EPSILON)[:, :2]
    assert largest_difference(suffix_graphs.probe(feeds, state, SEED, EPSILON), expected) < ROUNDING


def test_the_context_is_not_touched_by_the_state(
    suffix_graphs: SplitGraphs, rows: list[SplitRow], state: np.ndarray
) -> None:
    inputs = {value.name for value in suffix_graphs.session("context").get_inputs()}
    assert inputs == {"ids", "mask"}
    assert not any("lora_A" in name for name in used_parameters(finish(suffix_graphs.export.graph("context"))))


def test_names_types_and_shapes_of_inputs_and_outputs(suffix_graphs: SplitGraphs) -> None:
    context = suffix_graphs.context
    cache: list[str | int] = [context.layers, "batch", context.key_heads, "context", context.head_size]
    grid: list[str | int] = ["batch", "tokens"]
    column: list[str | int] = ["batch"]
    expected: dict[str, list[str | int]] = dict.fromkeys(("ids", "mask", "positions"), grid)
    expected |= dict.fromkeys(("position", "label", "context_length"), column)
    expected |= {"keys": cache, "values": cache, "state": [suffix_graphs.export.layout.parameters]}
    found = {value.name: value.shape for value in suffix_graphs.session("eval").get_inputs()}
    assert found == expected
    found = {value.name: value.shape for value in suffix_graphs.session("probe").get_inputs()}
    assert found == expected | {"seed": [1], "epsilon": [1]}
    outputs = {value.name: value.shape for value in suffix_graphs.session("probe").get_outputs()}
    grid_of_labels: list[str | int] = ["batch", len(suffix_graphs.export.words)]
    assert outputs == {"loss_plus": column, "loss_minus": column} | dict.fromkeys(SCORES, grid_of_labels)


@pytest.mark.parametrize("storage", ["fp32", "fp16", "int8"])
def test_a_context_goes_into_products_one_layer_at_a_time_and_never_twice(
    suffix_graphs: SplitGraphs, storage: ContextStorage
) -> None:
    whole = suffix_graphs.export
    layout = msgspec.structs.replace(suffix_graphs.context, storage=storage)
    export = Export(whole.model, whole.family, whole.trunk, whole.layout, whole.words, context=layout)
    graph = finish(export.graph("probe")).graph
    for name in ("keys", "values"):
        stored = next(value for value in graph.inputs if value.name == name)
        assert stored.dtype == TYPES[storage]
        products = readers_behind_layout(stored)
        assert [node.op_type for node in products] == ["MatMul"] * layout.layers
        taken = [use.node for use in stored.uses() if use.node.op_type != "Shape"]
        assert {node.op_type for node in taken} == {"Gather"}
        assert len(taken) == layout.layers


def readers_behind_layout(value: ir.Value) -> list[ir.Node]:
    """The nodes that do more to ``value`` than to pick, widen or turn it."""
    found = []
    for use in value.uses():
        if use.node.op_type in LAYOUT_OPERATORS:
            found += readers_behind_layout(use.node.outputs[0])
        elif use.node.op_type != "Shape":
            found.append(use.node)
    return found


def test_no_tensor_of_a_running_probe_holds_a_context_twice(suffix_graphs: SplitGraphs, state: np.ndarray) -> None:
    """Every tensor of the graph is looked at; 29 stored tokens are told by their number."""
    export, batch = suffix_graphs.export, 3
    rows = split_rows(export.family, ((29, 3),) * batch)
    feeds = suffix_graphs.feeds(rows) | {
        "state": state,
        "seed": np.array([SEED], np.int64),
        "epsilon": np.array([EPSILON], np.float32),
    }
    shapes = shapes_of_all_values(export, feeds)
    context = suffix_graphs.context
    size = batch * context.key_heads * 29 * context.head_size
    tensors = [shape for shape in shapes if 29 in shape and context.head_size in shape]
    assert len(tensors) >= 2 * context.layers
    assert max(int(np.prod(shape)) for shape in tensors) == size


def shapes_of_all_values(export: Export, feeds: dict[str, np.ndarray]) -> list[tuple[int, ...]]:
    """The shape of everything that the nodes of the probe graph return, without ONNX Runtime's rewriting."""
    model = finish(export.graph("probe"))
    graph = model.graph
    graph.outputs.clear()
    for index, node in enumerate(graph):
        for place, output in enumerate(node.outputs):
            output.name = f"value_{index}_{place}"
            graph.outputs.append(output)
    tensors = export.tensors()
    for name in used_parameters(model):
        graph.initializers[name].const_value = ir.tensor(np.ascontiguousarray(tensors[name]), name=name)
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.log_severity_level = 3
    serialised = ir.to_proto(model).SerializeToString()
    session = onnxruntime.InferenceSession(serialised, options, providers=["CPUExecutionProvider"])
    return [np.shape(array) for array in session.run(None, feeds)]
