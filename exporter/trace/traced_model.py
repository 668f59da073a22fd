"""The model of a bundle: traced in its scope, and what is trained in it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import onnx_ir as ir
import torch

from seedtune.exporter.checkpoint import Checkpoint
from seedtune.exporter.passes.linear_layout import normalise_linears
from seedtune.exporter.targets import lay_out, select
from seedtune.exporter.trace.attention import UnsupportedAttention
from seedtune.exporter.trace.suffix_trunk import trace_suffix
from seedtune.exporter.trace.token_layers import off_tokens
from seedtune.exporter.trace.traced import Traced
from seedtune.exporter.trace.trunk import head_of, trace
from seedtune.runtime.bundle.manifest import StateLayout
from seedtune.runtime.bundle.objective import Model, PrefixLayout, PrefixStorage
from seedtune.runtime.errors import SeedTuneError
from seedtune.runtime.task.compile import CompiledTask
from seedtune.runtime.task.structure import Scope


def trace_in_scope(
    skeleton: torch.nn.Module,
    checkpoint: Checkpoint,
    compiled: CompiledTask,
    scope: Scope | None,
    storage: PrefixStorage,
    notice: Callable[[str], None],
) -> Traced:
    """The model in the scope that was asked for; with no scope given, "all" where the attention cannot be split.

    Raises:
        SeedTuneError: it cannot be traced in that scope.
    """
    if compiled.scope == "suffix":
        try:
            trunk = trace_suffix(skeleton, checkpoint.family, compiled.task.max_tokens)
        except (UnsupportedAttention, SeedTuneError) as error:
            if scope == "suffix" or compiled.task.kind == "completion":
                if isinstance(error, SeedTuneError):
                    raise
                raise SeedTuneError(
                    f"{type(skeleton).__name__} cannot be tuned at the suffix of rows only: {error}",
                    value=scope,
                    rule="attention whose keys and values can be cached",
                    remedy="choose another model" if compiled.task.kind == "completion" else "use --scope all",
                ) from error
            reason = error.what if isinstance(error, SeedTuneError) else error
            notice(f"scope all: {type(skeleton).__name__} cannot be split, because {reason}")
        else:
            layout = PrefixLayout(trunk.layers, trunk.key_heads, trunk.head_size, storage)
            return Traced(trunk.model, checkpoint.family, layout)
    return Traced(trace(skeleton, checkpoint.family, compiled.task.max_tokens), checkpoint.family)


def state_layout(
    trunk: ir.Model, skeleton: torch.nn.Module, checkpoint: Checkpoint, targets: str, rank: int, adapter_seed: int
) -> StateLayout:
    """Selects among the linears of the trunk; those of the head see one row a side and are left out.

    Raises:
        SeedTuneError: ``targets`` names no layer of this model, or one that does not read token rows.
    """
    graph = trunk.clone().graph
    linears = normalise_linears(graph)
    vocabulary = checkpoint.vocabulary_size
    inside_head = head_parameters(skeleton)
    usable = [linear for linear in linears if linear.weight not in inside_head and linear.out_features != vocabulary]
    return lay_out(select(usable, targets, off_tokens(graph, linears)), rank, adapter_seed)


def head_parameters(skeleton: torch.nn.Module) -> set[str]:
    """Names of the parameters of the language-model head."""
    head = head_of(skeleton)
    return {
        f"{prefix}{'.' if inner else ''}{inner}"
        for prefix, module in skeleton.named_children()
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
    """

    traced: Traced
    skeleton: torch.nn.Module
    layout: StateLayout
    facts: Model


def trace_model(
    checkpoint: Checkpoint,
    task: CompiledTask,
    scope: Scope | None,
    prefix_storage: PrefixStorage,
    targets: str,
    rank: int,
    adapter_seed: int,
    notice: Callable[[str], None],
) -> TracedModel:
    """Traces the model in its scope and lays out its state; arguments as of `pipeline.export_bundle`."""
    skeleton = checkpoint.skeleton()
    traced = trace_in_scope(skeleton, checkpoint, task, scope, prefix_storage, notice)
    layout = state_layout(traced.model, skeleton, checkpoint, targets, rank, adapter_seed)
    return TracedModel(traced, skeleton, layout, _model_of(checkpoint, skeleton))


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
