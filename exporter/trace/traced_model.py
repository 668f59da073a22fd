"""The model of a bundle: traced in its scope, and what is trained in it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import onnx_ir as ir
import torch

from seedtune.exporter.checkpoint import Checkpoint
from seedtune.exporter.passes.first_layer import start_at_first_layer
from seedtune.exporter.passes.linear_layout import normalise_linears
from seedtune.exporter.targets import lay_out, select
from seedtune.exporter.trace.attention import UnsupportedAttention
from seedtune.exporter.trace.decoder import TracedDecoder, trace_decoder
from seedtune.exporter.trace.reach import Reach
from seedtune.exporter.trace.suffix_trunk import trace_suffix
from seedtune.exporter.trace.token_layers import off_tokens
from seedtune.exporter.trace.traced import Traced
from seedtune.exporter.trace.tracing import last_dimension
from seedtune.exporter.trace.trunk import head_of, trace
from seedtune.runtime.bundle.manifest import StateLayout
from seedtune.runtime.bundle.objective import ContextLayout, ContextStorage, Model
from seedtune.runtime.errors import SeedTuneError
from seedtune.runtime.task.compile import CompiledTask
from seedtune.runtime.task.structure import Family


def trace_in_scope(
    skeleton: torch.nn.Module,
    checkpoint: Checkpoint,
    compiled: CompiledTask,
    reach: Reach,
    storage: ContextStorage,
    notice: Callable[[str], None],
) -> Traced:
    """The model within the reach that was asked for, or within the shortest default that its layers allow.

    Raises:
        SeedTuneError: it cannot be traced within that reach.
    """
    longest_tokens = compiled.task.max_tokens
    if compiled.scope == "all":
        return Traced(trace(skeleton, checkpoint.family, longest_tokens), checkpoint.family)
    name, completes = type(skeleton).__name__, compiled.task.kind == "completion"
    layers = getattr(checkpoint.config.get_text_config(), "num_hidden_layers", None)
    for first_layer in reach.first_layers(layers, completes):
        try:
            return _trace_suffix(skeleton, checkpoint.family, longest_tokens, first_layer, storage)
        except UnsupportedAttention as error:
            reason = str(error)
            if completes or not reach.left_open:
                raise _unsupported(name, reason, reach, first_layer, compiled) from error
        except SeedTuneError as error:
            reason = error.what
            if completes or not reach.left_open:
                raise
    notice(f"scope all: {name} cannot be split, because {reason}")
    return Traced(trace(skeleton, checkpoint.family, longest_tokens), checkpoint.family)


def _unsupported(name: str, reason: str, reach: Reach, first_layer: int, compiled: CompiledTask) -> SeedTuneError:
    if first_layer:
        return SeedTuneError(
            f"{name} cannot be tuned in its upper layers only: {reason}",
            value=f"--layers {reach.layers}",
            rule="upper layers that read nothing but what the layer below gives them, and keys and values kept of it",
            remedy="leave --layers out",
        )
    return SeedTuneError(
        f"{name} cannot be tuned at some tokens of rows only: {reason}",
        value=reach.scope,
        rule="attention whose keys and values can be cached",
        remedy="choose another model" if compiled.task.kind == "completion" else "use --scope all",
    )


def _trace_suffix(
    skeleton: torch.nn.Module, family: Family, longest_tokens: int, first_layer: int, storage: ContextStorage
) -> Traced:
    trunk = trace_suffix(skeleton, family, longest_tokens, first_layer)
    layout = ContextLayout(trunk.layers, trunk.key_heads, trunk.head_size, storage, trunk.entering)
    upper = trunk.model
    if first_layer:
        upper = trunk.model.clone()
        if not start_at_first_layer(upper):
            raise UnsupportedAttention("they read the embeddings of the tokens again")
    return Traced(upper, family, layout, trunk.model, trunk)


def state_layout(
    trunk: ir.Model,
    skeleton: torch.nn.Module,
    checkpoint: Checkpoint,
    targets: str,
    rank: int,
    adapter_seed: int,
    labels: int,
) -> StateLayout:
    """Selects among the linears of the trunk; those of the head see one row a side and are left out.

    ``labels`` is L of a classification task, whose state has a head beside the label rows, or 0.

    Raises:
        SeedTuneError: ``targets`` names no layer of this model, or one that does not read token rows.
    """
    graph = trunk.clone().graph
    linears = normalise_linears(graph)
    vocabulary = checkpoint.vocabulary_size
    inside_head = head_parameters(skeleton)
    usable = [linear for linear in linears if linear.weight not in inside_head and linear.out_features != vocabulary]
    chosen = select(usable, targets, off_tokens(graph, linears))
    features = last_dimension(next(value for value in graph.outputs if value.name == "hidden"), "hidden")
    assert isinstance(features, int)
    return lay_out(chosen, rank, adapter_seed, labels, features)


def head_parameters(skeleton: torch.nn.Module) -> set[str]:
    """Names of the parameters of the language-model head."""
    head = head_of(skeleton)
    return {
        f"{context}{'.' if inner else ''}{inner}"
        for context, module in skeleton.named_children()
        if module is head
        for inner, _ in head.named_parameters()
    }


@dataclass(frozen=True)
class TracedModel:
    """A traced model: here another kind of graph than ONNX would begin.

    Attributes:
        traced: the graph without values.
        skeleton: the torch modules that it was traced from.
        layout: of the state.
        facts: what the manifest says of the model.
        decoder: what generates text; None where it does not, or was not asked for.
    """

    traced: Traced
    skeleton: torch.nn.Module
    layout: StateLayout
    facts: Model
    decoder: TracedDecoder | None = None


def trace_model(
    checkpoint: Checkpoint,
    task: CompiledTask,
    reach: Reach,
    context_storage: ContextStorage,
    targets: str,
    rank: int,
    adapter_seed: int,
    notice: Callable[[str], None],
    decode: bool = False,
) -> TracedModel:
    """Traces the model within its reach and lays out its state; arguments as of `pipeline.export_bundle`."""
    skeleton = checkpoint.skeleton()
    traced = trace_in_scope(skeleton, checkpoint, task, reach, context_storage, notice)
    labels = len(task.label_word_ids)
    layout = state_layout(traced.model, skeleton, checkpoint, targets, rank, adapter_seed, labels)
    decoder = trace_decoder(skeleton, checkpoint, traced.trunk, notice) if decode else None
    return TracedModel(traced, skeleton, layout, _model_of(checkpoint, skeleton), decoder)


def _model_of(checkpoint: Checkpoint, skeleton: torch.nn.Module) -> Model:
    config = checkpoint.config.get_text_config()
    return Model(
        source=checkpoint.source,
        architecture=type(skeleton).__name__,
        family=checkpoint.family,
        parameters=sum(parameter.numel() for parameter in skeleton.parameters()),
        hidden_size=config.hidden_size,
        vocabulary_size=checkpoint.vocabulary_size,
        max_positions=checkpoint.max_positions,
        padding_id=checkpoint.padding_id,
        mask_token=checkpoint.mask_token,
        unknown_token=checkpoint.unknown_token,
        end_token=checkpoint.end_token,
    )
