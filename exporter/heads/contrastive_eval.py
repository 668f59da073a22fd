"""The eval graph of contrastive embeddings: one side, no perturbation.

Inputs   features [U, d] float32; anchor, positive [A], negative [K] int64, places among them; state [n] float32
Outputs  loss [A] float32, embeddings [U, d] float32
"""

from __future__ import annotations

import onnx_ir as ir

from seedtune.exporter.heads.contrastive_loss import begun, losses, pair_weights
from seedtune.exporter.heads.layers import Layer
from seedtune.exporter.passes.emitter import Emitter, set_outputs
from seedtune.runtime.bundle.heads import Contrastive


def build_contrastive_eval(layer: Layer, parameters: int, loss: Contrastive) -> ir.Model:
    """The graph for ``layer``, which maps features [d] to embeddings [d]."""
    graph, group, state = begun("eval", layer.start.size, parameters)
    emit = Emitter(graph)
    embeddings = layer.output(emit, group.features, state)
    found = losses(emit, group, loss, embeddings, pair_weights(emit, group, loss))
    emit.append()
    outputs: dict[str, tuple[ir.Value, ir.DataType, list[int | str]]] = {
        "loss": (found, ir.DataType.FLOAT, ["anchors"]),
        "embeddings": (embeddings, ir.DataType.FLOAT, ["rows", layer.start.outputs]),
    }
    set_outputs(graph, outputs)
    return ir.Model(graph, ir_version=10)
