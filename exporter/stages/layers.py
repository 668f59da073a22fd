"""Inputs that hold all layers of the model become inputs of one layer each, so that a stage needs only its own."""

from __future__ import annotations

import onnx_ir as ir

from seedtune.exporter.passes.emitter import Emitter
from seedtune.runtime.bundle.stage_plan import LAYERED


def split_layers(graph: ir.Graph) -> dict[str, tuple[str, int]]:
    """Replaces the inputs in LAYERED by inputs ``keys.0``, ``keys.1``, ...; name -> (input of before, layer).

    Args:
        graph: changed in place. It takes layers by Gather with a constant index along axis 0, and reads nothing else of
            such an input but sizes of its other axes.
    """
    made: dict[str, tuple[str, int]] = {}
    for whole in [value for value in graph.inputs if value.name in LAYERED]:
        name = whole.name or ""
        parts: dict[int, ir.Value] = {}
        for use in list(whole.uses()):
            if use.node.op_type == "Gather":
                index = use.node.inputs[1]
                assert index is not None
                assert index.const_value is not None
                part = _part(graph, whole, int(index.const_value.numpy()), parts, made)
                ir.convenience.replace_all_uses_with(use.node.outputs[0], part)
                graph.remove(use.node, safe=True)
        for use in list(whole.uses()):
            _size_of(graph, use.node, _part(graph, whole, 0, parts, made))
        graph.inputs.remove(whole)
        assert made, name
    return made


def _part(
    graph: ir.Graph, whole: ir.Value, layer: int, parts: dict[int, ir.Value], made: dict[str, tuple[str, int]]
) -> ir.Value:
    if layer not in parts:
        assert whole.name is not None
        assert whole.shape is not None
        part = ir.Value(name=f"{whole.name}.{layer}", type=whole.type, shape=ir.Shape(list(whole.shape)[1:]))
        graph.inputs.append(part)
        parts[layer] = part
        made[f"{whole.name}.{layer}"] = whole.name, layer
    return parts[layer]


def _size_of(graph: ir.Graph, node: ir.Node, part: ir.Value) -> None:
    """Lets ``node``, a Shape of an axis behind the layers, read one layer."""
    start, end = node.attributes["start"].as_int(), node.attributes["end"].as_int()
    assert node.op_type == "Shape"
    assert 0 < start < end
    emit = Emitter(graph)
    size = emit.op("Shape", part, start=start - 1, end=end - 1)
    emit.insert_before(node)
    ir.convenience.replace_all_uses_with(node.outputs[0], size)
    graph.remove(node, safe=True)
