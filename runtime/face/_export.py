"""`seedtune.export`: the only place from which the exporter, and with it torch, is imported."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from seedtune.runtime.bundle.manifest import Manifest
from seedtune.runtime.extras import needs_extra


def export(
    source: str | Path,
    *,
    task: str | Path,
    out: str | Path,
    phase: Callable[[str], None] = lambda _name: None,
    notice: Callable[[str], None] = lambda _text: None,
    **options: Any,
) -> Manifest:
    """Turns a checkpoint into the bundle folder ``out`` and returns its manifest.

    Args:
        source: an embedded name (``smollm2-135m-instruct``), a folder, a GGUF file or a hub id.
        task: a built-in task (``sentiment``) or the path of a task file.
        out: the new folder; ``~`` and symbolic links are followed.
        phase: told the name of each phase as it starts.
        notice: told what a person should know.
        options: as on the command line: storage, targets, rank, adapter_seed, scope, layers, context_storage,
            context_on_host, decode, check, overwrite.

    Raises:
        SeedTuneError: the extra ``export`` is not installed, or anything else that the user can put right; ``out`` is
            then as it was.
    """
    with needs_extra("export", "exporting needs"):
        from seedtune.exporter.pipeline import export_bundle
    return export_bundle(str(source), str(task), Path(out), phase=phase, notice=notice, **options)
