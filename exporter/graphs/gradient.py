"""The gradient graph: the loss of each row as in the eval graph, and the exact gradient of their sum.

Inputs   those of the eval graph, scope "suffix" or "last"
Outputs  loss [B] float32, gradient [n] float32: sum over the rows of d loss / d state; entries of the state that no
         target has are 0
"""

from __future__ import annotations

import onnx_ir as ir
from onnx_ir.passes import common

from seedtune.exporter.graphs.evaluate import evaluated
from seedtune.exporter.passes.emitter import Emitter, input_named, set_outputs
from seedtune.exporter.passes.gradient.differentiate import differentiate
from seedtune.exporter.passes.gradient.vocabulary import cotangent_of_rows
from seedtune.exporter.trace.traced import Traced
from seedtune.runtime.bundle.manifest import StateLayout


def build_gradient(traced: Traced, layout: StateLayout, words: tuple[int, ...]) -> ir.Model:
    """The gradient graph over a clone of the trunk; ``words`` are the token ids of the label words, [L], or none.

    Raises:
        NoRule: a node between the state and the loss cannot be differentiated.
    """
    model, scores = evaluated(traced, layout, words)
    graph, loss = model.graph, scores.losses
    for value in graph.outputs:
        value.name = None
    common.TopologicalSortPass()(model)
    forward = list(graph)
    if scores.completion is None:
        emit = Emitter(graph)
        one = ir.tensor([1.0], dtype=ir.DataType.FLOAT)
        seeds = {loss: emit.op("ConstantOfShape", emit.op("Shape", loss), value=one)}
        emit.append()
    else:
        seeds = {scores.completion.rows: cotangent_of_rows(graph, scores.completion)}
    emit = Emitter(graph)
    gradient = differentiate(emit, forward, seeds, input_named(graph, "state"))
    emit.append()
    set_outputs(
        graph,
        {
            "loss": (loss, ir.DataType.FLOAT, ["batch"]),
            "gradient": (gradient, ir.DataType.FLOAT, [layout.parameters]),
        },
    )
    common.RemoveUnusedNodesPass()(model)
    graph.name = "gradient"
    return model
