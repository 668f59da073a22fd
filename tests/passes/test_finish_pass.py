"""The last step of a graph, and its parameters' places in the weights file."""

from pathlib import Path

import numpy as np
import onnx
import onnx_ir as ir
import pytest
from graph_lab import FLOAT, make_graph, make_value, op_types, run, sizes_of

from seedtune.exporter.passes.emitter import Emitter, set_outputs
from seedtune.exporter.passes.finish import bind, finish, used_parameters
from seedtune.exporter.storage.weights import WeightsFile, write_weights
from seedtune.runtime.errors import SeedTuneError

pytestmark = pytest.mark.traced

TENSORS = {"weight": np.arange(6, dtype=np.float32).reshape(2, 3), "bias": np.array([1, -1], np.float32)}
FEEDS = {"x": np.array([[1, 2, 3], [4, 5, 6], [7, 8, 9]], np.float32)}


def network() -> ir.Model:
    """A linear with wrong inner shapes, an unused node and an unused parameter, its nodes out of order."""
    x = make_value("x", FLOAT, ["rows", 3])
    parameters = [make_value(name, FLOAT, tensor.shape) for name, tensor in TENSORS.items()]
    unused = make_value("unused", FLOAT, (7,))
    model = make_graph([x], [], [], [*parameters, unused])
    emit = Emitter(model.graph)
    y = emit.op("Gemm", x, parameters[0], parameters[1], transB=1)
    y.shape, y.type = ir.Shape([1, 2]), ir.TensorType(FLOAT)
    emit.op("Neg", unused)
    z = emit.op("Relu", y)
    same = emit.op("Relu", y)
    total = emit.op("Add", z, same)
    emit.append()
    first = next(iter(model.graph))
    model.graph.remove(first)
    model.graph.append(first)
    set_outputs(model.graph, {"total": (total, FLOAT, ["rows", 2])})
    return model


def test_operators_left() -> None:
    assert op_types(finish(network()).graph) == ["Gemm", "Relu", "Add"]


def test_numbers() -> None:
    (found,) = run(finish(network()), FEEDS, TENSORS)
    expected = 2 * np.maximum(FEEDS["x"] @ TENSORS["weight"].T + TENSORS["bias"], 0)
    np.testing.assert_array_equal(found, expected)


def test_inner_shapes_are_dropped_and_outer_ones_kept() -> None:
    graph = finish(network()).graph
    inner = [value for node in graph for value in node.outputs if value not in graph.outputs]
    assert [value.shape for value in inner] == [None] * 2
    assert sizes_of(graph.outputs[0]) == ["rows", 2]
    assert sizes_of(graph.inputs[0]) == ["rows", 3]


def test_names_are_unique() -> None:
    model = network()
    for node in model.graph:
        node.name = "same"
        if node.outputs[0] not in model.graph.outputs:
            node.outputs[0].name = "same"
    graph = finish(model).graph
    names = [value.name for node in graph for value in node.outputs] + [*graph.initializers, graph.inputs[0].name]
    assert len(set(names)) == len(names)
    assert len({node.name for node in graph}) == len(list(graph))
    assert graph.outputs[0].name == "total"
    assert set(TENSORS) <= set(graph.initializers)


def test_only_parameters_that_are_read_are_needed() -> None:
    assert used_parameters(finish(network())) == {"weight": (FLOAT, (2, 3)), "bias": (FLOAT, (2,))}


def test_a_parameter_that_the_file_lacks_is_refused_by_name(tmp_path: Path) -> None:
    model = finish(network())
    weights = WeightsFile(tmp_path / "w", {"weight": (FLOAT, (2, 3))})
    with pytest.raises(SeedTuneError, match="bias"):
        bind(model, weights.external_tensors())


def test_bound_parameters_lie_outside_the_graph_file(tmp_path: Path) -> None:
    model = finish(network())
    weights = WeightsFile(tmp_path / "w.safetensors", used_parameters(model))
    write_weights([weights], TENSORS.items())
    bind(model, weights.external_tensors())
    assert used_parameters(model) == {}
    ir.save(model, tmp_path / "graph.onnx")
    stored = onnx.load(tmp_path / "graph.onnx", load_external_data=False)
    places = {tensor.name: {e.key: e.value for e in tensor.external_data} for tensor in stored.graph.initializer}
    assert {name: place["location"] for name, place in places.items()} == dict.fromkeys(TENSORS, "w.safetensors")
    raw = (tmp_path / "w.safetensors").read_bytes()
    for name, place in places.items():
        start, length = int(place["offset"]), int(place["length"])
        assert raw[start : start + length] == TENSORS[name].tobytes()
