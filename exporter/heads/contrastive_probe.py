"""The probe graph of contrastive embeddings.

Inputs   features [U, d] float32, each row of a step once; anchor, positive [A], negative [K] int64, places among them;
         state [n] float32; seed [1] int64; epsilon [1] float32
Outputs  loss_plus, loss_minus [A] float32: at state + epsilon z and at state - epsilon z
"""

from __future__ import annotations

import onnx_ir as ir

from seedtune.exporter.heads.contrastive_loss import begun, losses, pair_weights
from seedtune.exporter.heads.layers import Layer, Noise, both_sides
from seedtune.exporter.passes.emitter import Emitter, add_input, set_outputs
from seedtune.runtime.bundle.heads import Contrastive


def build_contrastive_probe(layer: Layer, parameters: int, loss: Contrastive) -> ir.Model:
    """The graph for ``layer``, which maps features [d] to embeddings [d]."""
    graph, group, state = begun("probe", layer.start.size, parameters)
    seed = add_input(graph, "seed", ir.DataType.INT64, [1])
    epsilon = add_input(graph, "epsilon", ir.DataType.FLOAT, [1])
    emit = Emitter(graph)
    sides = both_sides(emit, layer, group.features, state, Noise.of(emit, seed, epsilon, parameters))
    weights = pair_weights(emit, group, loss)
    plus, minus = (losses(emit, group, loss, side, weights) for side in sides)
    emit.append()
    kind = (ir.DataType.FLOAT, ["anchors"])
    set_outputs(graph, {"loss_plus": (plus, *kind), "loss_minus": (minus, *kind)})
    return ir.Model(graph, ir_version=10)
