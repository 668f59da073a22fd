"""Stages that differ in names and integers only share one stage graph, in which those integers are inputs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import onnx_ir as ir

from seedtune.exporter.stages.cut import Cut
from seedtune.runtime.bundle.stage_plan import Numbers, Stage


def merge(
    cuts: Sequence[Cut], layers: Mapping[str, tuple[str, int]], name: str, opsets: Mapping[str, int]
) -> tuple[list[Stage], dict[str, ir.Model]]:
    """The stages of one graph, and the stage graphs that they use.

    Args:
        cuts: in order.
        layers: by `layers.split_layers`.
        name: of the whole graph; the files are called after it.
        opsets: the operator sets that the whole graph imports.
    """
    alike: dict[tuple[object, ...], list[int]] = {}
    for number, one in enumerate(cuts):
        alike.setdefault(one.signature, []).append(number)
    stages: dict[int, Stage] = {}
    models: dict[str, ir.Model] = {}
    for kind, members in enumerate(alike.values()):
        file = f"{name}.stage{kind}.onnx"
        differing = _differing([cuts[number] for number in members])
        for number in members:
            stages[number] = _stage(cuts[number], file, differing, layers)
        models[file] = _model(cuts[members[0]], differing, opsets)
    return [stages[number] for number in range(len(cuts))], models


def _differing(alike: Sequence[Cut]) -> list[int]:
    """The places of the integer constants that are not the same in all of ``alike``."""
    first = alike[0]
    return [
        place
        for place in range(len(first.constants))
        if any(not np.array_equal(_integers(one, place), _integers(first, place)) for one in alike[1:])
    ]


def _integers(one: Cut, place: int) -> np.ndarray:
    tensor = one.constants[place].const_value
    assert tensor is not None
    return tensor.numpy()


def _stage(one: Cut, file: str, differing: Sequence[int], layers: Mapping[str, tuple[str, int]]) -> Stage:
    inputs = {f"input_{place}": name for place, name in enumerate(one.inputs)}
    numbers = {}
    for place in differing:
        array = _integers(one, place)
        numbers[f"integers_{place}"] = Numbers(array.shape, tuple(int(item) for item in array.reshape(-1)))
    return Stage(
        graph=file,
        values={key: name for key, name in inputs.items() if name not in one.parameters and name not in layers},
        layers={key: layers[name] for key, name in inputs.items() if name in layers},
        weights={key: name for key, name in inputs.items() if name in one.parameters},
        numbers=numbers,
        outputs={f"output_{place}": name for place, name in enumerate(one.outputs)},
    )


def _model(one: Cut, differing: Sequence[int], opsets: Mapping[str, int]) -> ir.Model:
    graph = one.graph
    for place in differing:
        value = one.constants[place]
        array = _integers(one, place)
        graph.initializers.pop(value.name or "")
        value.const_value = None
        value.type, value.shape = ir.TensorType(ir.DataType.INT64), ir.Shape(array.shape)
        graph.inputs.append(value)
        value.name = f"integers_{place}"
    inputs = {value.name: value for value in graph.inputs}
    for place, name in enumerate(one.inputs):
        inputs[name].name = f"input_{place}"
    outputs = {value.name: value for value in graph.outputs}
    for place, name in enumerate(one.outputs):
        outputs[name].name = f"output_{place}"
    _unique_names(graph)
    # `extract` gives them in any order.
    initializers = sorted(graph.initializers.items())
    graph.initializers.clear()
    graph.initializers.update(initializers)
    graph.opset_imports.update(opsets)
    return ir.Model(graph, ir_version=10, producer_name="seedtune")


def _unique_names(graph: ir.Graph) -> None:
    """Inner values get names that cannot be those of inputs and outputs."""
    fixed = {*graph.inputs, *graph.outputs}
    for number, node in enumerate(graph):
        for place, output in enumerate(node.outputs):
            if output not in fixed:
                output.name = f"inner_{number}_{place}"
