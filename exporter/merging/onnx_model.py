"""A tuned classifier as one ONNX model of the usual inputs and outputs, whatever the reach of its state.

Inputs   input_ids, attention_mask [B, T] int64, padded on the right
Output   logits [B, L] float32: the scores of the labels, whose softmax is what the bundle predicts

The low-rank terms are multiplied by 1 at the token rows where the reach lies and by 0 elsewhere, so it is the tuned
model and no other one. Of a causal model the reach counts from a row's last token: with scope "last" that one, with
"suffix" as many as the template has behind its last field. A masked model of a shorter reach than "all" reads its text
twice, once untouched, and is refused.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnx_ir as ir
import torch
from onnx_ir.passes import common

from seedtune.exporter.graphs.all_graphs import lift_large_buffers
from seedtune.exporter.merging.merge import open_base
from seedtune.exporter.passes.emitter import Emitter, add_input, input_named, set_outputs
from seedtune.exporter.passes.finish import bind, finish, used_parameters
from seedtune.exporter.passes.label_head import add_label_head
from seedtune.exporter.passes.label_rows import keep_label_rows
from seedtune.exporter.passes.linear_layout import normalise_linears
from seedtune.exporter.passes.low_rank_target import attach_targets
from seedtune.exporter.storage.weights import WeightsFile, write_weights
from seedtune.exporter.trace.trunk import trace
from seedtune.runtime.bundle.low_rank import lora_a_values
from seedtune.runtime.bundle.manifest import Manifest
from seedtune.runtime.bundle.reader import Bundle
from seedtune.runtime.errors import SeedTuneError
from seedtune.runtime.files import new_folder
from seedtune.runtime.task.compile import CompiledTask

MODEL, WEIGHTS, LABELS = "model.onnx", "model.safetensors", "labels.json"
STATE = "seedtune.state"
# Ends of texts that tokenizers may join with what follows them.
SAMPLES = ("something", "something.", "3", "so ", "so\n", "s\u00f6\U0001f600", ")")


def write_onnx(
    out: Path,
    bundle: Bundle,
    state: npt.NDArray[np.float32],
    *,
    source: str | None = None,
    phase: Callable[[str], None] = lambda _name: None,
) -> int:
    """Writes the model into the new folder ``out`` and returns the bytes of its weights, which are float32.

    Args:
        out: the folder: ``model.onnx``, ``model.safetensors`` beside it (the weights, external data), the tokenizer,
            and ``labels.json`` with the template and the labels in the order of the logits.
        bundle: verified.
        state: [n] float32.
        source: where the base model is, if not where the bundle was exported from.
        phase: told the name of each phase as it starts.

    Raises:
        SeedTuneError: the task is completion, the reach cannot be told from a row, the base model is not there or is
            another one, or the folder cannot be made.
    """
    manifest = bundle.manifest
    reach = reach_of(manifest, bundle.compiled_task())
    phase("opening the base model")
    checkpoint, _ = open_base(manifest, source)
    phase("tracing the model")
    objective = manifest.language_model
    model = trace(checkpoint.skeleton(), objective.model.family, objective.task.max_tokens)
    graph = model.graph
    mask_id = None
    if objective.model.mask_token is not None:
        mask_id = checkpoint.tokenizer.token_to_id(objective.model.mask_token)
    _build(graph, manifest, reach, mask_id)
    buffers = lift_large_buffers({"classifier": model})
    common.RemoveUnusedNodesPass()(model)
    with new_folder(out) as folder:
        phase("writing the weights")
        weights = WeightsFile(folder / WEIGHTS, used_parameters(finish(model)))
        write_weights([weights], _tensors(checkpoint.tensors(), manifest, state, buffers))
        bind(model, weights.external_tensors())
        ir.save(model, folder / MODEL)
        checkpoint.tokenizer.save(str(folder / "tokenizer.json"))
        labels = [{"name": label.name, "value": label.value} for label in objective.task.labels]
        about = {"template": objective.task.template, "labels": labels, "max_tokens": objective.task.max_tokens}
        (folder / LABELS).write_text(json.dumps(about, indent=2) + "\n", encoding="utf-8")
    return weights.total_bytes


def reach_of(manifest: Manifest, task: CompiledTask) -> int | None:
    """At how many tokens, counted from a row's last one, the state acts; None for all of them.

    Raises:
        SeedTuneError: a row does not tell.
    """
    objective = manifest.language_model
    if objective.task.kind == "completion":
        raise SeedTuneError(
            "a model that takes a text and gives scores does not know where a prompt ends and its response begins",
            value=objective.task.name,
            rule="a classification task",
            remedy="use seedtune generate, or seedtune serve",
        )
    if objective.scope == "all":
        return None
    if objective.model.family == "masked":
        raise SeedTuneError(
            "a masked model of a shorter reach reads its text untouched and again with its state: two passes, not one",
            value=f"scope {objective.scope}",
            rule="scope all, or a causal model",
            remedy="use seedtune predict, or tune a bundle that was exported with --scope all",
        )
    if objective.scope == "last":
        return 1
    counts = set()
    for sample in SAMPLES:
        example = task.encode(dict.fromkeys(objective.task.fields, sample))
        assert example.suffix is not None
        counts.add(len(example.suffix))
    if len(counts) > 1:
        raise SeedTuneError(
            "how many tokens the template's end takes depends on the text before it, so a row does not tell its reach",
            value=f"{min(counts)} to {max(counts)} tokens",
            rule="a template whose end begins with a token of its own, such as one behind a line break",
            remedy="use seedtune predict, or tune with --scope last",
        )
    return counts.pop()


def _build(graph: ir.Graph, manifest: Manifest, reach: int | None, mask_id: int | None) -> None:
    """Rewrites a traced trunk into the classifier; ``mask_id`` is the token that a masked model predicts under."""
    layout, objective = manifest.state, manifest.language_model
    words = tuple(objective.label_word_ids)
    ids, mask, position = (input_named(graph, name) for name in ("ids", "mask", "position"))
    state = add_input(graph, STATE, ir.DataType.FLOAT, [layout.parameters])
    readers = list(position.uses())
    emit = Emitter(graph)
    lengths = emit.op("ReduceSum", mask, emit.integers(1), keepdims=0)
    if mask_id is not None and objective.model.family == "masked":
        found = emit.op("Cast", emit.op("Equal", ids, emit.integers(mask_id)), to=ir.DataType.INT32)
        place = emit.op("ArgMax", found, axis=1, keepdims=0)
    else:
        place = emit.op("Sub", lengths, emit.integers(1))
    for use in readers:
        use.node.replace_input_with(use.idx, place)
    graph.inputs.remove(position)
    where = None if reach is None else _rows_within(emit, mask, lengths, reach)
    emit.prepend()
    linears = normalise_linears(graph)
    attach_targets(graph, linears, layout.targets, state, None, where)
    hidden = next(value for value in graph.outputs if value.name == "hidden")
    place_of_hidden = list(graph.outputs).index(hidden)
    scores = keep_label_rows(graph, linears, words)
    if layout.head is not None:
        scores = add_label_head(graph, scores, graph.outputs[place_of_hidden], layout.head, state, None)
    for value in graph.outputs:
        value.name = None
    set_outputs(graph, {"logits": (scores, ir.DataType.FLOAT, ["batch", len(words)])})
    graph.inputs.remove(state)
    graph.initializers[STATE] = state
    ids.name, mask.name = "input_ids", "attention_mask"
    graph.name = "classifier"


def _rows_within(emit: Emitter, mask: ir.Value, lengths: ir.Value, reach: int) -> ir.Value:
    """1 for the last ``reach`` tokens of each row and 0 for the others, [B * T, 1] float32."""
    zero, one = (emit.constant(np.array(number, np.int64)) for number in (0, 1))
    tokens = emit.op("Squeeze", emit.op("Shape", mask, start=1, end=2), emit.integers(0))
    places = emit.op("Unsqueeze", emit.op("Range", zero, tokens, one), emit.integers(0))
    ends = emit.op("Unsqueeze", lengths, emit.integers(1))
    begins = emit.op("Sub", ends, emit.integers(reach))
    inside = emit.op("And", emit.op("Less", places, ends), emit.op("GreaterOrEqual", places, begins))
    return emit.op("Reshape", emit.op("Cast", inside, to=ir.DataType.FLOAT), emit.integers(-1, 1))


def _tensors(
    of_checkpoint: Iterator[tuple[str, torch.Tensor]],
    manifest: Manifest,
    state: npt.NDArray[np.float32],
    buffers: dict[str, np.ndarray],
) -> Iterator[tuple[str, torch.Tensor | np.ndarray]]:
    yield STATE, state
    yield from lora_a_values(manifest.state).items()
    yield from buffers.items()
    yield from of_checkpoint
