"""The probe graph of robust and non-robust heads.

Inputs   z_robust, z_robust_adversarial [B, d_r], z_non_robust, z_non_robust_adversarial [B, d_n] float32; label, target
         [B] int64; partner [B] float32; state [n] float32; seed [1] int64; epsilon [1] float32
Outputs  loss_plus, loss_minus [B] float32: at state + epsilon z and at state - epsilon z
"""

from __future__ import annotations

from collections.abc import Sequence

import onnx_ir as ir

from seedtune.exporter.heads.layers import Layer, Noise, both_sides
from seedtune.exporter.heads.robust_loss import FLOAT, INT64, begun, losses
from seedtune.exporter.passes.emitter import add_input, set_outputs
from seedtune.runtime.bundle.heads import RobustHeads


def build_robust_probe(layers: Sequence[Layer], parameters: int, loss: RobustHeads) -> ir.Model:
    """The graph for ``layers``: robust, non-robust and joint."""
    graph, emit, read, truth, state = begun("probe", loss, parameters)
    seed = add_input(graph, "seed", INT64, [1])
    epsilon = add_input(graph, "epsilon", FLOAT, [1])
    noise = Noise.of(emit, seed, epsilon, parameters)
    clean = [both_sides(emit, layer, x, state, noise) for layer, x in zip(layers, read.clean, strict=True)]
    twins = [
        both_sides(emit, layer, x, state, noise) for layer, x in zip(layers[:2], read.adversarial[:2], strict=True)
    ]
    emit.append()
    kind = (FLOAT, ["batch"])
    plus, minus = (
        losses(graph, loss, [sides[side] for sides in clean], [sides[side] for sides in twins], truth)
        for side in (0, 1)
    )
    set_outputs(graph, {"loss_plus": (plus, *kind), "loss_minus": (minus, *kind)})
    return ir.Model(graph, ir_version=10)
