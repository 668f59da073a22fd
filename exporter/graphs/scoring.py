"""From logits to losses: over the label words of a classification task, or over the response of a completion task."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import onnx_ir as ir

from seedtune.exporter.graphs.scope import by_side
from seedtune.exporter.passes.completion_loss import CompletionLoss, add_completion_loss
from seedtune.exporter.passes.emitter import Emitter, add_input, input_named
from seedtune.exporter.passes.label_head import HeadPerturbation, add_label_head
from seedtune.exporter.passes.label_loss import add_label_loss
from seedtune.exporter.passes.label_rows import keep_label_rows
from seedtune.exporter.passes.linear_layout import Linear
from seedtune.exporter.trace.traced import Traced
from seedtune.exporter.trace.tracing import last_dimension
from seedtune.runtime.bundle.manifest import StateLayout

HIDDEN = "hidden"
SCORES = "log_probabilities"
Described = tuple[ir.Value, ir.DataType, list[int | str]]


@dataclass(frozen=True)
class Scores:
    """``losses`` [sides * B] float32, the plus side first, and what else an evaluation gives out.

    ``completion`` is what the losses of a completion task are made of.
    """

    losses: ir.Value
    more: dict[str, Described] = field(default_factory=dict)
    completion: CompletionLoss | None = None


def score(
    graph: ir.Graph,
    traced: Traced,
    linears: Sequence[Linear],
    words: tuple[int, ...],
    layout: StateLayout,
    perturbation: HeadPerturbation | None = None,
) -> Scores:
    """Adds the input that says what is right, the head of the state, and the loss.

    Args:
        graph: with the outputs ``logits`` and ``hidden``, the input ``state``, and the targets of the state attached.
        traced: what the graph is a clone of.
        linears: what `normalise_linears` returned for this graph.
        words: the token ids of the label words, [L]; none for a completion task.
        layout: of the state.
        perturbation: of the head; None for a graph of one side.

    Inputs added   label [B] int64, or target [B, S] int64 for a completion task
    """
    sides = 1 if perturbation is None else 2
    if not words:
        target = add_input(graph, "target", ir.DataType.INT64, ["batch", "tokens"])
        mask = input_named(graph, "mask")
        loss = add_completion_loss(graph, linears, target, mask, sides)
        accuracy: Described = (loss.token_accuracy, ir.DataType.FLOAT, ["batch"])
        return Scores(loss.losses, {"token_accuracy": accuracy}, loss)
    label = add_input(graph, "label", ir.DataType.INT64, ["batch"])
    scores = by_side(graph, traced, keep_label_rows(graph, linears, words), len(words))
    hidden, width = _hidden(graph, traced)
    if layout.head is not None:
        scores = add_label_head(graph, scores, hidden, layout.head, input_named(graph, "state"), perturbation)
    emit = Emitter(graph)
    labels = label if sides == 1 else emit.op("Concat", *[label] * sides, axis=0)
    # What a stage reads is no output of the graph, so the output is a value of its own.
    copy = emit.op("Reshape", hidden, emit.integers(-1, width))
    emit.append()
    of_labels = add_label_loss(graph, scores, labels)
    shape: list[int | str] = ["batch", len(words)]
    return Scores(
        of_labels.losses,
        {
            SCORES: (of_labels.log_probabilities, ir.DataType.FLOAT, shape),
            "hidden": (copy, ir.DataType.FLOAT, ["batch", width]),
        },
    )


def _hidden(graph: ir.Graph, traced: Traced) -> tuple[ir.Value, int]:
    """What the language-model head reads, [sides * B, H], the plus side first, and H."""
    place, before = next(
        (place, value) for place, value in enumerate(traced.model.graph.outputs) if value.name == HIDDEN
    )
    width = last_dimension(before, HIDDEN)
    assert isinstance(width, int)
    # By its place: a target that made it has put another value there.
    hidden = graph.outputs[place]
    hidden.name = None
    return by_side(graph, traced, hidden, width), width
