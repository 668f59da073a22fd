"""The first stage of an export: a checkpoint, and a task that suits it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from seedtune.exporter.checkpoint import Checkpoint, open_checkpoint
from seedtune.runtime.task.compile import CompiledTask
from seedtune.runtime.task.definition import load_task
from seedtune.runtime.task.structure import Scope
from seedtune.runtime.task.template import has_fixed_end


@dataclass(frozen=True)
class Opened:
    """A checkpoint, and the task as its tokenizer and family have it."""

    checkpoint: Checkpoint
    task: CompiledTask


def open_source(source: str, task_name: str, scope: Scope | None, notice: Callable[[str], None]) -> Opened:
    """Opens the checkpoint and holds the task against it; arguments as of `pipeline.export_bundle`."""
    checkpoint = open_checkpoint(source)
    task = load_task(task_name).for_family(checkpoint.family)
    splits = task.kind == "completion" or has_fixed_end(task.template)
    compiled = CompiledTask(
        task,
        checkpoint.tokenizer,
        checkpoint.family,
        checkpoint.mask_token,
        checkpoint.unknown_token,
        checkpoint.max_positions,
        scope or ("suffix" if splits else "all"),
        checkpoint.end_token,
    )
    if scope is None and not splits:
        notice("scope all: the template ends with a field, so there is no suffix for the state to act at")
    return Opened(checkpoint, compiled)
