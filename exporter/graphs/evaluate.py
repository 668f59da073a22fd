"""The eval graph: one side, no perturbation.

Inputs   ids, mask [B, T] int64; position, label [B] int64; state [n] float32
Outputs  loss [B] float32, log_probabilities [B, L] float32 (over the label words), hidden [B, H] float32 (what the
         language-model head reads at the label position)
"""

from __future__ import annotations

import onnx_ir as ir

from seedtune.exporter.passes.emitter import Emitter, add_input, set_outputs
from seedtune.exporter.passes.label_loss import add_label_loss
from seedtune.exporter.passes.label_rows import keep_label_rows
from seedtune.exporter.passes.linear_layout import normalise_linears
from seedtune.exporter.passes.low_rank_target import attach_targets
from seedtune.runtime.bundle.manifest import StateLayout


def build_eval(trunk: ir.Model, layout: StateLayout, words: tuple[int, ...]) -> ir.Model:
    """The eval graph over a clone of ``trunk``; ``words`` are the token ids of the label words, [L]."""
    model = trunk.clone()
    graph = model.graph
    hidden = next(value for value in graph.outputs if value.name == "hidden")
    hidden_shape = list(hidden.shape) if hidden.shape is not None else ["batch", "hidden"]
    label = add_input(graph, "label", ir.DataType.INT64, ["batch"])
    state = add_input(graph, "state", ir.DataType.FLOAT, [layout.parameters])

    linears = normalise_linears(graph)
    attach_targets(graph, linears, layout.targets, state, None)
    scores = keep_label_rows(graph, linears, words)
    loss = add_label_loss(graph, scores, label)
    emit = Emitter(graph)
    hidden_out = emit.op("Identity", hidden)
    emit.append()
    width = hidden_shape[1] if isinstance(hidden_shape[1], int) else "hidden"
    hidden.name = None
    set_outputs(
        graph,
        {
            "loss": (loss.losses, ir.DataType.FLOAT, ["batch"]),
            "log_probabilities": (loss.log_probabilities, ir.DataType.FLOAT, ["batch", len(words)]),
            "hidden": (hidden_out, ir.DataType.FLOAT, ["batch", width]),
        },
    )
    graph.name = "eval"
    return model
