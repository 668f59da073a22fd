"""Builds the few nodes that a pass adds: constants are shared by content, nodes go in before a chosen one.

Knows nothing of models; names are made unique once, when the graph is finished (`finish.py`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import onnx_ir as ir
from onnx_ir.tape import Tape

# Of every graph that is written; the first with bitwise operators, ReduceMax over named axes and 4-bit types.
OPSET = 21


class Emitter:
    """Collects nodes for ``graph``; :meth:`insert_before` or :meth:`append` puts them there, in order."""

    def __init__(self, graph: ir.Graph) -> None:
        self.graph = graph
        self.tape = Tape()

    def op(self, op_type: str, *inputs: ir.Value | None, domain: str = "", **attributes: Any) -> ir.Value:
        """One node with one output."""
        return self.tape.op(op_type, inputs, attributes=attributes, domain=domain)

    def op_many(self, op_type: str, *inputs: ir.Value | None, outputs: int, **attributes: Any) -> tuple[ir.Value, ...]:
        """One node with ``outputs`` outputs."""
        return tuple(self.tape.op_multi_out(op_type, inputs, attributes=attributes, num_outputs=outputs))

    def constant(self, array: np.ndarray) -> ir.Value:
        """An initializer holding ``array``; equal small arrays share one."""
        key = f"constant_{array.dtype}_{'x'.join(map(str, array.shape))}_{array.tobytes().hex()[:64]}"
        found = self.graph.initializers.get(key)
        if found is not None and found.const_value is not None and np.array_equal(found.const_value.numpy(), array):
            return found
        if found is not None:
            key = f"{key}_{len(self.graph.initializers)}"
        value = ir.Value(
            name=key,
            type=ir.TensorType(ir.DataType.from_numpy(array.dtype)),
            shape=ir.Shape(array.shape),
            const_value=ir.tensor(array, name=key),
        )
        self.graph.register_initializer(value)
        return value

    def integers(self, *values: int) -> ir.Value:
        """An int64 vector constant, [len(values)]."""
        return self.constant(np.array(values, np.int64))

    def unsigned(self, *values: int) -> ir.Value:
        """A uint32 vector constant, [len(values)]."""
        return self.constant(np.array(values, np.uint32))

    def insert_before(self, node: ir.Node) -> None:
        """Puts the collected nodes before ``node`` and starts anew."""
        self.graph.insert_before(node, list(self.tape.nodes))
        self.tape = Tape()

    def prepend(self) -> None:
        """Puts the collected nodes before the first node of the graph and starts anew."""
        self.insert_before(next(iter(self.graph)))

    def append(self) -> None:
        """Puts the collected nodes after the last node of the graph and starts anew."""
        self.graph.extend(list(self.tape.nodes))
        self.tape = Tape()


def zero_at_run_time(emit: Emitter, x: ir.Value) -> ir.Value:
    """Zero, [1] int64, that no optimiser can know: the lesser of the first dimension of ``x`` and 0.

    What is computed from it is neither folded when a session is created nor run before ``x`` exists.
    """
    return emit.op("Min", emit.op("Shape", x, start=0, end=1), emit.integers(0))


def after_input(emit: Emitter, weight: ir.Value, x: ir.Value) -> ir.Value:
    """``weight``, of unchanged shape, but neither folded nor touched before ``x`` exists.

    A Reshape to ``[o, i] + zero``. Not a Concat of sizes: ONNX Runtime's reshape fusion would put -1 for its unknown
    part, and fold the rest.
    """
    return emit.op("Reshape", weight, emit.op("Add", zero_at_run_time(emit, x), emit.integers(*static_shape(weight))))


def static_shape(value: ir.Value) -> tuple[int, ...]:
    """The shape of a parameter, all of whose dimensions are numbers."""
    assert value.shape is not None
    sizes = tuple(size for size in value.shape if isinstance(size, int))
    assert len(sizes) == len(value.shape)
    return sizes


def add_input(graph: ir.Graph, name: str, dtype: ir.DataType, shape: list[int | str]) -> ir.Value:
    """Adds a graph input and returns it."""
    value = ir.Value(name=name, type=ir.TensorType(dtype), shape=ir.Shape(shape))
    graph.inputs.append(value)
    return value


def input_named(graph: ir.Graph, name: str) -> ir.Value:
    """The graph input ``name``, which there is."""
    return next(value for value in graph.inputs if value.name == name)


def set_outputs(graph: ir.Graph, outputs: Mapping[str, tuple[ir.Value, ir.DataType, Sequence[int | str]]]) -> None:
    """Makes ``outputs`` (name -> value, dtype, shape) the only outputs of the graph."""
    graph.outputs.clear()
    for name, (value, dtype, shape) in outputs.items():
        value.name = name
        value.type = ir.TensorType(dtype)
        value.shape = ir.Shape(shape)
        graph.outputs.append(value)


def parameter(graph: ir.Graph, name: str, dtype: ir.DataType, shape: tuple[int, ...]) -> ir.Value:
    """An initializer whose values come from the weights file, known here by name and shape only."""
    found = graph.initializers.get(name)
    if found is not None:
        return found
    value = ir.Value(name=name, type=ir.TensorType(dtype), shape=ir.Shape(shape))
    graph.initializers[name] = value
    return value
