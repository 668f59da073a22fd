"""The eval graph: one side, no perturbation.

Inputs   ids, mask [B, T] int64; position, label [B] int64; state [n] float32; for scope "suffix" see `probe.py`
Outputs  loss [B] float32, log_probabilities [B, L] float32 (over the label words), hidden [B, H] float32 (what the
         language-model head reads at the label position)
"""

from __future__ import annotations

import onnx_ir as ir

from seedtune.exporter.graphs.scope import Traced, by_side, one_side
from seedtune.exporter.passes.emitter import Emitter, add_input, set_outputs
from seedtune.exporter.passes.label_loss import add_label_loss
from seedtune.exporter.passes.label_rows import keep_label_rows
from seedtune.exporter.passes.linear_layout import normalise_linears
from seedtune.exporter.passes.low_rank_target import attach_targets
from seedtune.runtime.bundle.manifest import StateLayout


def build_eval(traced: Traced, layout: StateLayout, words: tuple[int, ...]) -> ir.Model:
    """The eval graph over a clone of the trunk; ``words`` are the token ids of the label words, [L]."""
    model = traced.model.clone()
    graph = model.graph
    hidden = next(value for value in graph.outputs if value.name == "hidden")
    assert hidden.shape is not None
    width = int(hidden.shape[-1])
    label = add_input(graph, "label", ir.DataType.INT64, ["batch"])
    state = add_input(graph, "state", ir.DataType.FLOAT, [layout.parameters])

    one_side(graph, traced)
    linears = normalise_linears(graph)
    attach_targets(graph, linears, layout.targets, state, None)
    scores = by_side(graph, traced, keep_label_rows(graph, linears, words), len(words))
    loss = add_label_loss(graph, scores, label)
    emit = Emitter(graph)
    hidden_out = emit.op("Reshape", hidden, emit.integers(-1, width))
    emit.append()
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
