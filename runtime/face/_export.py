"""`seedtune.export`: the only place from which the exporter, and with it torch, is imported."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from seedtune.runtime.bundle.manifest import Manifest
from seedtune.runtime.errors import SeedTuneError
from seedtune.runtime.extras import needs_extra


def export(
    source: str | Path,
    *,
    task: str | Path | None = None,
    objective: str | None = None,
    out: str | Path,
    phase: Callable[[str], None] = lambda _name: None,
    notice: Callable[[str], None] = lambda _text: None,
    **options: Any,
) -> Manifest:
    """Turns a checkpoint, or features with an objective, into the bundle folder ``out`` and returns its manifest.

    Args:
        source: an embedded name (``smollm2-135m-instruct``), a folder, a GGUF file or a hub id; with an objective an
            .npz or .parquet file of features, or a folder that holds features.npz.
        task: a built-in task (``sentiment``) or the path of a task file.
        objective: instead of a task: ``contrastive`` or ``heads``, which features are to learn by.
        out: the new folder; ``~`` and symbolic links are followed.
        phase: told the name of each phase as it starts.
        notice: told what a person should know.
        options: as on the command line: storage, targets, rank, adapter_seed, scope, layers, context_storage,
            context_on_host, decode, check, overwrite; with an objective form, rank, adapter_seed, temperature,
            negatives, collision_fix, imbalance_fix, neighbours, clusters, adversarial_weight, target_weight, overwrite.

    Raises:
        SeedTuneError: the extra ``export`` (``heads`` for an objective) is not installed, or anything else that the
            user can put right; ``out`` is then as it was.
    """
    if (task is None) == (objective is None):
        raise SeedTuneError(
            "a bundle is for a task or for an objective",
            value=f"task {task}, objective {objective}",
            rule="--task for a language model, or --objective contrastive or heads for features",
            remedy="give one of both",
        )
    if objective is not None:
        with needs_extra("heads", "exporting heads needs"):
            from seedtune.exporter.heads.export import export_heads
        return export_heads(Path(source), objective, Path(out), phase=phase, notice=notice, **options)
    with needs_extra("export", "exporting needs"):
        from seedtune.exporter.pipeline import export_bundle
    return export_bundle(str(source), str(task), Path(out), phase=phase, notice=notice, **options)
