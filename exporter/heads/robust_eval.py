"""The eval graph of robust and non-robust heads: one side, no perturbation.

Inputs   z_robust, z_robust_adversarial [B, d_r], z_non_robust, z_non_robust_adversarial [B, d_n] float32; label, target
         [B] int64; partner [B] float32; state [n] float32
Outputs  loss [B] float32; log_probabilities [B, C] float32 of the joint head for clean rows; predictions [B, 6] int64:
         of robust, non-robust and joint head for clean rows, then for their adversarial twins
"""

from __future__ import annotations

from collections.abc import Sequence

import onnx_ir as ir

from seedtune.exporter.heads.layers import Layer
from seedtune.exporter.heads.robust_loss import FLOAT, HEADS, INT64, begun, losses
from seedtune.exporter.passes.emitter import Emitter, set_outputs
from seedtune.runtime.bundle.heads import RobustHeads


def build_robust_eval(layers: Sequence[Layer], parameters: int, loss: RobustHeads, classes: int) -> ir.Model:
    """The graph for ``layers``: robust, non-robust and joint, of ``classes`` classes."""
    graph, emit, read, truth, state = begun("eval", loss, parameters)
    clean = [layer.output(emit, x, state) for layer, x in zip(layers, read.clean, strict=True)]
    twins = [layer.output(emit, x, state) for layer, x in zip(layers, read.adversarial, strict=True)]
    emit.append()
    found = losses(graph, loss, clean, twins[:2], truth)
    emit = Emitter(graph)
    joint = emit.op("LogSoftmax", clean[HEADS.index("joint")], axis=-1)
    said = [emit.op("ArgMax", scores, axis=1, keepdims=1) for scores in (*clean, *twins)]
    predictions = emit.op("Concat", *said, axis=1)
    emit.append()
    outputs: dict[str, tuple[ir.Value, ir.DataType, list[int | str]]] = {
        "loss": (found, FLOAT, ["batch"]),
        "log_probabilities": (joint, FLOAT, ["batch", classes]),
        "predictions": (predictions, INT64, ["batch", len(said)]),
    }
    set_outputs(graph, outputs)
    return ir.Model(graph, ir_version=10)
