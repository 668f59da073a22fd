"""The model of a bundle: traced in its scope, and what is trained in it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import onnx_ir as ir
import torch

from seedtune.exporter.checkpoint import Checkpoint
from seedtune.exporter.graphs.scope import Traced
from seedtune.exporter.passes.linear_layout import normalise_linears
from seedtune.exporter.targets import lay_out, select
from seedtune.exporter.trace.attention import UnsupportedAttention
from seedtune.exporter.trace.suffix_trunk import trace_suffix
from seedtune.exporter.trace.trunk import head_of, trace
from seedtune.runtime.bundle.manifest import PrefixLayout, StateLayout
from seedtune.runtime.errors import SeedTuneError
from seedtune.runtime.task.compile import CompiledTask
from seedtune.runtime.task.structure import Scope

PrefixStorage = Literal["fp32", "fp16", "int8"]


def trace_in_scope(
    skeleton: torch.nn.Module,
    checkpoint: Checkpoint,
    compiled: CompiledTask,
    scope: Scope | None,
    storage: PrefixStorage,
    notice: Callable[[str], None],
) -> Traced:
    """The model in the scope that was asked for; with no scope given, "all" where the attention cannot be split."""
    if compiled.scope == "suffix":
        try:
            trunk = trace_suffix(skeleton, checkpoint.family, compiled.task.max_tokens)
        except UnsupportedAttention as error:
            if scope == "suffix" or compiled.task.kind == "completion":
                raise SeedTuneError(
                    f"{type(skeleton).__name__} cannot be tuned at the suffix of rows only: {error}",
                    value=scope,
                    rule="attention whose keys and values can be cached",
                    remedy="choose another model" if compiled.task.kind == "completion" else "use --scope all",
                ) from error
            notice(f"scope all: {type(skeleton).__name__} cannot be split, because {error}")
        else:
            layout = PrefixLayout(trunk.layers, trunk.key_heads, trunk.head_size, storage)
            return Traced(trunk.model, checkpoint.family, layout)
    return Traced(trace(skeleton, checkpoint.family), checkpoint.family)


def state_layout(
    trunk: ir.Model, skeleton: torch.nn.Module, checkpoint: Checkpoint, targets: str, rank: int, adapter_seed: int
) -> StateLayout:
    """Selects among the linears of the trunk; those of the head see one row a side and are left out."""
    linears = normalise_linears(trunk.clone().graph)
    vocabulary = checkpoint.config.get_text_config().vocab_size
    inside_head = head_parameters(skeleton)
    usable = [linear for linear in linears if linear.weight not in inside_head and linear.out_features != vocabulary]
    return lay_out(select(usable, targets), rank, adapter_seed)


def head_parameters(skeleton: torch.nn.Module) -> set[str]:
    """Names of the parameters of the language-model head."""
    head = head_of(skeleton)
    return {
        f"{prefix}{'.' if inner else ''}{inner}"
        for prefix, module in skeleton.named_children()
        if module is head
        for inner, _ in head.named_parameters()
    }
