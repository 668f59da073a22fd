"""Per-example cross-entropy over the label words: ``-log softmax(scores)[label]``."""

from __future__ import annotations

from dataclasses import dataclass

import onnx_ir as ir

from seedtune.exporter.passes.emitter import Emitter


@dataclass(frozen=True)
class LabelLoss:
    """``log_probabilities`` [B, L] and ``losses`` [B], float32 (2*B in a two-sided graph)."""

    log_probabilities: ir.Value
    losses: ir.Value


def add_label_loss(graph: ir.Graph, scores: ir.Value, label: ir.Value) -> LabelLoss:
    """Appends the loss of ``scores`` [B, L] float32 for the labels ``label`` [B] int64 (0..L-1)."""
    emit = Emitter(graph)
    log_probabilities = emit.op("LogSoftmax", scores, axis=-1)
    column = emit.op("Unsqueeze", label, emit.integers(1))
    picked = emit.op("GatherElements", log_probabilities, column, axis=1)
    losses = emit.op("Neg", emit.op("Squeeze", picked, emit.integers(1)))
    emit.append()
    return LabelLoss(log_probabilities, losses)
