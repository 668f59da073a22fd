"""One operator, its gradient by the rewritten graph in ONNX Runtime, and by finite differences in float64.

The oracle runs ONNX's own reference implementation, which is numpy, on double precision.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import onnx
import onnx.reference
import onnx_ir as ir
from graph_lab import FLOAT, OPSET, make_graph, make_value, run

from seedtune.exporter.passes.emitter import Emitter
from seedtune.exporter.passes.gradient.differentiate import differentiate

STEP = 1e-6
# What the graph is told of shapes: numbers, symbols, or nothing.
Told = Literal["numbers", "symbols", "nothing"]


@dataclass(frozen=True)
class Case:
    """An operator and what it reads.

    Attributes:
        op_type: of ONNX.
        inputs: arrays; float64 ones are inputs of the graph in float32, others its constants; None is left out.
        attributes: of the node.
        outputs: of the node; the first is the one whose cotangent is given.
        constants: places of float inputs that are constants of the graph.
        trained: places of the inputs whose gradients are compared.
        definition: of the only input, in place of the reference implementation.
    """

    op_type: str
    inputs: Sequence[np.ndarray | None]
    attributes: Mapping[str, Any] = field(default_factory=dict)
    outputs: int = 1
    constants: frozenset[int] = frozenset()
    trained: Sequence[int] = (0,)
    definition: Callable[[np.ndarray], np.ndarray] | None = None


def gradient(case: Case, place: int, cotangent: np.ndarray, told: Told) -> np.ndarray:
    """The cotangent of the input at ``place`` by the graph, float32."""
    values: list[ir.Value | None] = []
    graph_inputs, feeds, initializers = [], {}, []
    for at, array in enumerate(case.inputs):
        if array is None:
            values.append(None)
            continue
        is_float = array.dtype == np.float64
        plain = array.astype(np.float32) if is_float else array
        if is_float and at not in case.constants:
            value = _described(ir.Value(name=f"input_{at}", type=ir.TensorType(FLOAT)), plain.shape, told)
            graph_inputs.append(value)
            feeds[f"input_{at}"] = plain
        else:
            kind = ir.DataType.from_numpy(plain.dtype)
            value = make_value(f"constant_{at}", kind, plain.shape)
            value.const_value = ir.tensor(plain, name=f"constant_{at}")
            initializers.append(value)
        values.append(value)
    node = ir.node(case.op_type, values, attributes=dict(case.attributes), num_outputs=case.outputs)
    _described(node.outputs[0], cotangent.shape, told)
    given = ir.Value(name="cotangent", type=ir.TensorType(FLOAT))
    graph_inputs.append(given)
    feeds["cotangent"] = cotangent.astype(np.float32)
    model = make_graph(graph_inputs, [], [node], initializers)
    emit = Emitter(model.graph)
    trained = values[place]
    assert trained is not None
    found = differentiate(emit, [node], {node.outputs[0]: given}, trained)
    # A rule may hand back what it was given, which as an output needs a node of its own.
    found = emit.op("Identity", found)
    emit.append()
    found.name, found.type = "gradient", ir.TensorType(FLOAT)
    model.graph.outputs.append(found)
    (result,) = run(model, feeds)
    return result


def forward(case: Case) -> Callable[[int, np.ndarray], np.ndarray]:
    """The operator by its definition, or by ONNX's reference implementation: (place, array there) -> first output."""
    definition = case.definition
    if definition is not None:
        return lambda _place, array: definition(array)
    names = [f"input_{at}" if array is not None else "" for at, array in enumerate(case.inputs)]
    outputs = [f"output_{at}" for at in range(case.outputs)]
    node = onnx.helper.make_node(case.op_type, names, outputs, **dict(case.attributes))
    described = [onnx.helper.make_tensor_value_info(name, onnx.TensorProto.DOUBLE, None) for name in names if name]
    result = onnx.helper.make_tensor_value_info("output_0", onnx.TensorProto.DOUBLE, None)
    graph = onnx.helper.make_graph([node], "one", described, [result])
    evaluator = onnx.reference.ReferenceEvaluator(
        onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", OPSET)])
    )
    feeds = {name: array for name, array in zip(names, case.inputs, strict=True) if array is not None}

    def evaluate(place: int, array: np.ndarray) -> np.ndarray:
        (found,) = evaluator.run(["output_0"], feeds | {names[place]: array})
        return np.asarray(found, np.float64)

    return evaluate


def finite_differences(case: Case, place: int, cotangent: np.ndarray) -> np.ndarray:
    """Sum over the outputs of cotangent times d output / d input, by central differences in float64."""
    evaluate, array = forward(case), case.inputs[place]
    assert array is not None
    found = np.zeros(array.shape)
    for index in np.ndindex(array.shape):
        moved = []
        for step in (STEP, -STEP):
            copy = array.copy()
            copy[index] += step
            moved.append(evaluate(place, copy))
        found[index] = ((moved[0] - moved[1]) * cotangent).sum() / (2 * STEP)
    return found


def check(case: Case, told: Told, seed: int = 1) -> None:
    """Asserts that the graph's gradients are those of finite differences, for a random cotangent."""
    first = case.inputs[case.trained[0]]
    assert first is not None
    shape = forward(case)(case.trained[0], first).shape
    cotangent = np.asarray(np.random.default_rng(seed).standard_normal(shape)).astype(np.float32).astype(np.float64)
    for place in case.trained:
        found = gradient(case, place, cotangent, told)
        expected = finite_differences(case, place, cotangent)
        assert found.shape == expected.shape
        np.testing.assert_allclose(found, expected, rtol=2e-4, atol=2e-5, err_msg=f"{case.op_type} {place}")


def _described(value: ir.Value, shape: Sequence[int], told: Told) -> ir.Value:
    """``value`` with its shape, where one symbol stands for one size."""
    if told == "numbers":
        value.shape = ir.Shape(list(shape))
    elif told == "symbols":
        value.shape = ir.Shape([f"size_{size}" for size in shape])
    return value
