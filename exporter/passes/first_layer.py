"""Cuts a suffix trunk where the first layer with state begins: what lies below is computed once a row, and kept.

Before  ids [B, S] int64 as an input, entering [B, S, H] float32 as an output
After   entering as an input in place of ids; nothing is left of the embeddings and of the layers below
"""

from __future__ import annotations

import onnx_ir as ir
from onnx_ir.passes import common

from seedtune.exporter.passes.emitter import input_named


def start_at_first_layer(model: ir.Model) -> bool:
    """Rewrites ``model`` in place; False where its upper layers read the token ids again, which leaves it of no use."""
    graph = model.graph
    below = next(value for value in graph.outputs if value.name == "entering")
    ids, positions = (input_named(graph, name) for name in ("ids", "positions"))
    graph.outputs.remove(below)
    below.name = "below"
    entering = ir.Value(name="entering", type=ir.TensorType(ir.DataType.FLOAT), shape=below.shape)
    ir.convenience.replace_all_uses_with(below, entering)
    for use in list(ids.uses()):
        if use.node.op_type == "Shape":
            use.node.replace_input_with(use.idx, positions)
    graph.inputs.insert(graph.inputs.index(ids), entering)
    common.RemoveUnusedNodesPass()(model)
    if ids.uses():
        return False
    graph.inputs.remove(ids)
    return True
