"""Takes the stages out of a graph, and describes each so that equal ones can be told (`twins.py`)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import onnx_ir as ir

from seedtune.exporter.stages.border import users_of
from seedtune.exporter.stages.reads import is_parameter, reads
from seedtune.exporter.stages.types import Inferred


@dataclass
class Cut:
    """A stage as a graph of its own.

    Attributes:
        graph: its inputs and outputs keep the names that they have in the whole graph.
        parameters: the inputs that are tensors of the weights file.
        signature: equal for stages whose graphs differ in nothing but names and int64 constants.
        inputs: the inputs in the order of their first use.
        constants: the int64 constants in the order of their first use.
        outputs: the outputs in the order in which they are made.
    """

    graph: ir.Graph
    parameters: frozenset[str]
    signature: tuple[object, ...]
    inputs: list[str]
    constants: list[ir.Value]
    outputs: list[str]


def cut(graph: ir.Graph, stages: Mapping[ir.Node, int], types: Mapping[str, Inferred]) -> list[Cut]:
    """The stages of ``graph`` in order.

    Args:
        graph: finished; is not changed, except that inner values are given their types.
        stages: node -> stage.
        types: of all values that nodes make.
    """
    members: dict[int, list[ir.Node]] = {}
    for node in graph:
        members.setdefault(stages[node], []).append(node)
        for output in node.outputs:
            if output.type is None and output.name is not None and output.name in types:
                output.type = ir.TensorType(types[output.name].dtype)
    users = users_of(stages)
    cuts = []
    for stage in sorted(members):
        made = {output for node in members[stage] for output in node.outputs}
        outside = dict.fromkeys(value for node in members[stage] for value in reads(node) if value not in made)
        inputs = [value for value in outside if not value.is_initializer() or is_parameter(value)]
        outputs = [
            output
            for node in members[stage]
            for output in node.outputs
            if output.is_graph_output() or any(stages[user] != stage for user in users.get(output, ()))
        ]
        part = ir.convenience.extract(graph, inputs, outputs)
        parameters = frozenset(value.name or "" for value in inputs if is_parameter(value))
        for name in parameters:
            part.initializers.pop(name, None)
        for value in part.inputs:
            value.const_value = None
        cuts.append(_described(part, parameters))
    return cuts


def _described(graph: ir.Graph, parameters: frozenset[str]) -> Cut:
    seen: dict[ir.Value, int] = {}
    inputs: list[str] = []
    constants: list[ir.Value] = []

    def describe(value: ir.Value | None) -> object:
        if value is None:
            return None
        if value in seen:
            return seen[value]
        seen[value] = len(seen)
        if value.is_graph_input() and value.graph is graph:
            inputs.append(value.name or "")
            is_weight = value.name in parameters
            return "weight" if is_weight else "value", value.dtype, tuple(value.shape or ()) if is_weight else ()
        if value.const_value is None:
            return "inner", value.dtype
        if value.dtype == ir.DataType.INT64:
            constants.append(value)
            return "integers", tuple(value.const_value.shape.numpy())
        array = value.const_value.numpy()
        return "constant", value.dtype, array.shape, array.tobytes()

    def describe_graph(inner: ir.Graph) -> tuple[object, ...]:
        nodes = []
        for value in inner.inputs if inner is not graph else ():
            seen[value] = len(seen)
        for node in inner:
            attributes = [
                (name, describe_graph(attribute.as_graph()) if _is_graph(attribute) else _plain(attribute))
                for name, attribute in sorted(node.attributes.items())
            ]
            read = [describe(value) for value in node.inputs]
            for output in node.outputs:
                seen[output] = len(seen)
            made = [seen[output] for output in node.outputs]
            nodes.append((node.domain, node.op_type, tuple(attributes), tuple(read), tuple(made)))
        return (*nodes, tuple(describe(value) for value in inner.outputs) if inner is not graph else ())

    nodes = describe_graph(graph)
    outputs = sorted(graph.outputs, key=lambda value: seen[value])
    final = tuple(seen[value] for value in outputs)
    return Cut(graph, parameters, (nodes, final), inputs, constants, [value.name or "" for value in outputs])


def _is_graph(attribute: ir.Attr) -> bool:
    return attribute.type == ir.AttributeType.GRAPH


def _plain(attribute: ir.Attr) -> object:
    value = attribute.value
    if isinstance(value, ir.TensorProtocol):
        array = np.asarray(value.numpy())
        return array.dtype.str, array.shape, array.tobytes()
    return tuple(value) if isinstance(value, list | tuple) else value
