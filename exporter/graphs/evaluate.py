"""The eval graph: one side, no perturbation.

Inputs   ids, mask [B, T] int64; position, label [B] int64; state [n] float32; for scope "suffix" see `probe.py`
Outputs  loss [B] float32, log_probabilities [B, L] float32 (over the label words), hidden [B, H] float32 (what the
         language-model head reads at the label position); of a completion task loss and token_accuracy [B] float32 only
"""

from __future__ import annotations

import onnx_ir as ir

from seedtune.exporter.graphs.scope import one_side
from seedtune.exporter.graphs.scoring import Described, Scores, score
from seedtune.exporter.passes.emitter import add_input, set_outputs
from seedtune.exporter.passes.linear_layout import normalise_linears
from seedtune.exporter.passes.low_rank_target import attach_targets
from seedtune.exporter.trace.traced import Traced
from seedtune.runtime.bundle.manifest import StateLayout


def build_eval(traced: Traced, layout: StateLayout, words: tuple[int, ...]) -> ir.Model:
    """The eval graph over a clone of the trunk; ``words`` are the token ids of the label words, [L], or none."""
    return evaluated(traced, layout, words)[0]


def evaluated(traced: Traced, layout: StateLayout, words: tuple[int, ...]) -> tuple[ir.Model, Scores]:
    """The eval graph, and where its losses come from; arguments as of :func:`build_eval`."""
    model = traced.model.clone()
    graph = model.graph
    state = add_input(graph, "state", ir.DataType.FLOAT, [layout.parameters])

    one_side(graph, traced, every_token=not words)
    linears = normalise_linears(graph)
    attach_targets(graph, linears, layout.targets, state, None)
    scores = score(graph, traced, linears, words, layout)
    outputs: dict[str, Described] = {"loss": (scores.losses, ir.DataType.FLOAT, ["batch"]), **scores.more}
    set_outputs(graph, outputs)
    graph.name = "eval"
    return model, scores
