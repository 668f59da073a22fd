"""The gradient graph: the loss of each row as in the eval graph, and the exact gradient of their sum.

Inputs   those of the eval graph, scope "suffix" or "last"
Outputs  loss [B] float32, gradient [n] float32: sum over the rows of d loss / d state; entries of the state that no
         target has are 0
"""

from __future__ import annotations

import onnx_ir as ir
from onnx_ir.passes import common

from seedtune.exporter.graphs.evaluate import build_eval
from seedtune.exporter.passes.emitter import Emitter, input_named, set_outputs
from seedtune.exporter.passes.gradient.differentiate import differentiate
from seedtune.exporter.trace.traced import Traced
from seedtune.runtime.bundle.manifest import StateLayout


def build_gradient(traced: Traced, layout: StateLayout, words: tuple[int, ...]) -> ir.Model:
    """The gradient graph over a clone of the trunk; ``words`` are the token ids of the label words, [L], or none.

    Raises:
        NoRule: a node between the state and the loss cannot be differentiated.
    """
    model = build_eval(traced, layout, words)
    graph = model.graph
    loss = next(value for value in graph.outputs if value.name == "loss")
    for value in graph.outputs:
        value.name = None if value is not loss else value.name
    graph.outputs[:] = [loss]
    common.RemoveUnusedNodesPass()(model)
    common.TopologicalSortPass()(model)
    emit = Emitter(graph)
    one = ir.tensor([1.0], dtype=ir.DataType.FLOAT)
    seed = emit.op("ConstantOfShape", emit.op("Shape", loss), value=one)
    gradient = differentiate(emit, list(graph), {loss: seed}, input_named(graph, "state"))
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
