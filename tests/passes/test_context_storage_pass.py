"""How a context is stored, on values chosen for it: ties, zeros, extremes; and how it is read again."""

import numpy as np
import onnx_ir as ir
import pytest
from graph_lab import FLOAT, INT64, make_graph, make_value, op_types, run

from seedtune.exporter.passes.context_storage import TYPES, load, store
from seedtune.exporter.passes.emitter import Emitter, set_outputs
from seedtune.runtime.bundle.objective import ContextLayout, ContextStorage

SHAPE: list[int | str] = [1, "batch", "heads", "tokens", 4]


def storing(storage: ContextStorage) -> ir.Model:
    """value -> kept and, for int8, scales."""
    value = make_value("value", FLOAT, SHAPE)
    model = make_graph([value], [], [ir.node("Identity", [value])], [])
    emit = Emitter(model.graph)
    kept, scales = store(emit, value, storage)
    emit.append()
    found: dict[str, tuple[ir.Value, ir.DataType, list[int | str]]] = {"kept": (kept, TYPES[storage], SHAPE)}
    if scales is not None:
        found["scales"] = (scales, ir.DataType.FLOAT16, [*SHAPE[:-1], 1])
    if storage != "fp32":
        set_outputs(model.graph, found)
    return model


def stored(storage: ContextStorage, *tokens: list[float]) -> list[np.ndarray]:
    """One row of tokens of one head each, [N, 4] -> [N, ...]."""
    value = np.array(tokens, np.float32)[None, None, None]
    return [array[0, 0, 0] for array in run(storing(storage), {"value": value})]


def test_fp32_adds_no_operator() -> None:
    assert op_types(storing("fp32").graph) == ["Identity"]


def test_fp16_rounds_as_numpy_does() -> None:
    values = [1 / 3, 1 + 2**-11, 1 + 3 * 2**-11, -65504.0]
    (kept,) = stored("fp16", values)
    np.testing.assert_array_equal(kept[0], np.array(values, np.float32).astype(np.float16))


def test_int8_rounds_halves_to_even() -> None:
    codes, scales = stored("int8", [127, 0.5, 1.5, 2.5], [-127, -0.5, -1.5, -2.5])
    np.testing.assert_array_equal(scales, np.ones((2, 1), np.float16))
    np.testing.assert_array_equal(codes, [[127, 0, 2, 2], [-127, 0, -2, -2]])
    assert codes.dtype == np.int8


def test_int8_of_zeros_is_zeros() -> None:
    codes, scales = stored("int8", [0, 0, 0, 0], [0, -0.0, 0, 1])
    np.testing.assert_array_equal(codes[0], np.zeros(4, np.int8))
    assert scales[0] == np.float16(2**-14)
    np.testing.assert_array_equal(codes[1], [0, 0, 0, 127])


def test_a_token_too_small_for_its_scale_loses_less_than_the_smallest_scale() -> None:
    values = np.array([3e-3, -1e-5, 2e-8, 1e-30], np.float32)
    codes, scales = stored("int8", list(values))
    assert scales[0] == np.float16(2**-14)
    assert np.abs(codes[0] * scales.astype(np.float32)[0] - values).max() <= 2**-15


def test_codes_stay_in_range_where_the_scale_was_rounded_down() -> None:
    """127 and a bit: float16 rounds the scale down, so that the largest value alone would have code 128 or more."""
    largest = 127 * (2048 + 0.49)
    codes, scales = stored("int8", [largest, -largest, largest / 2, 0])
    assert scales[0] == 2048
    np.testing.assert_array_equal(codes[0], [127, -127, 64, 0])


def test_each_token_and_head_has_a_scale_of_its_own() -> None:
    value = np.random.default_rng(2).standard_normal((1, 3, 2, 5, 4)).astype(np.float32)
    codes, scales = run(storing("int8"), {"value": value})
    assert scales.shape == (1, 3, 2, 5, 1)
    np.testing.assert_array_equal(np.abs(codes).max(-1), np.full((1, 3, 2, 5), 127))
    assert len(np.unique(scales)) > 20


def reading(storage: ContextStorage, readers: tuple[str, ...] = ("Gather", "Gather")) -> ir.Model:
    """keys, values [2, B, 2, P, 4] as stored -> the second layer of each, and the number of tokens."""
    shape: list[int | str] = [2, "batch", 2, "context", 4]
    inputs = [make_value(name, FLOAT, shape) for name in ("keys", "values")]
    index = make_value("index", INT64, [])
    nodes = [ir.node(kind, [value, index] if kind == "Gather" else [value]) for kind, value in zip(readers, inputs)]  # noqa: B905
    nodes.append(ir.node("Shape", [inputs[0]], {"start": 3, "end": 4}))
    model = make_graph([*inputs, index], [], nodes, [])
    layer: list[int | str] = ["batch", 2, "context", 4]
    ends = [ir.node("Neg", [node.outputs[0]]) for node in nodes[:2]]
    model.graph.extend(ends)
    found = {f"y_{place}": (node.outputs[0], FLOAT, layer) for place, node in enumerate(ends)}
    set_outputs(model.graph, found | {"tokens": (nodes[-1].outputs[0], INT64, [1])})
    load(model.graph, ContextLayout(2, 2, 4, storage))
    return model


@pytest.mark.parametrize("storage", ["fp32", "fp16", "int8"])
def test_what_is_stored_is_read_again_layer_by_layer(storage: ContextStorage) -> None:
    generator = np.random.default_rng(3)
    feeds: dict[str, np.ndarray] = {"index": np.array(1)}
    expected = []
    for name, scale_name in (("keys", "key_scales"), ("values", "value_scales")):
        wide: np.ndarray = generator.standard_normal((2, 3, 2, 5, 4)).astype(np.float32)
        if storage == "int8":
            codes = generator.integers(-127, 128, wide.shape).astype(np.int8)
            scales = np.abs(generator.standard_normal((*wide.shape[:-1], 1))).astype(np.float16)
            feeds |= {name: codes, scale_name: scales}
            wide = codes * scales.astype(np.float32)
        else:
            feeds[name] = wide.astype(np.float16 if storage == "fp16" else np.float32)
            wide = feeds[name].astype(np.float32)
        expected.append(-wide[1])
    keys, values, tokens = run(reading(storage), feeds)
    np.testing.assert_array_equal(keys, expected[0])
    np.testing.assert_array_equal(values, expected[1])
    assert tokens == [5]


def test_widening_stands_behind_the_choice_of_a_layer() -> None:
    cases: list[tuple[ContextStorage, list[str]]] = [
        ("fp32", []),
        ("fp16", ["Cast"]),
        ("int8", ["Cast", "Gather", "Cast", "Mul"]),
    ]
    for storage, added in cases:
        kinds = op_types(reading(storage).graph)
        assert kinds == ["Gather", *added, "Gather", *added, "Shape", "Neg", "Neg"]


def test_a_reader_of_all_layers_is_not_passed_over() -> None:
    """It would be fed stored values as if they were numbers."""
    with pytest.raises(AssertionError, match="reads the whole of keys"):
        reading("fp16", ("Abs", "Abs"))
