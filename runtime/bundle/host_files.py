"""Files that only computing contexts and generating text read: a phone that is given the contexts can tune without."""

from __future__ import annotations

import re
from pathlib import Path

from seedtune.runtime.bundle.manifest import Manifest
from seedtune.runtime.bundle.objective import CONTEXT_GRAPH, DECODE_GRAPH, WEIGHTS
from seedtune.runtime.bundle.stage_plan import StagePlan
from seedtune.runtime.errors import SeedTuneError

# The tensors that no graph but that of contexts reads, where they lie in a file of their own.
CONTEXT_WEIGHTS = "context.safetensors"
CONTEXT = "context"
HOST_FILE = re.compile(r"context\.(onnx|safetensors|stage\d+\.onnx)|decode\.onnx")


def weights_places(folder: Path) -> dict[str, Path]:
    """The files of weights that a bundle in ``folder`` can have, the one that every device needs first."""
    return {name: folder / name for name in (WEIGHTS, CONTEXT_WEIGHTS)}


def host_files(plan: StagePlan, decodes: bool) -> tuple[str, ...]:
    """The files that a phone may lack, of a bundle with the stages ``plan``: graph, weights and stages of contexts.

    Where the bundle ``decodes``, its graph is one of them too: it begins at the embeddings.
    """
    stages = {stage.graph for stage in plan.graphs[CONTEXT]}
    others = plan.without(CONTEXT).files
    graphs = CONTEXT_GRAPH | DECODE_GRAPH if decodes else CONTEXT_GRAPH
    return tuple(sorted({*graphs.values(), CONTEXT_WEIGHTS, *(stages - set(others))}))


def absent_host_files(manifest: Manifest, manifest_path: Path) -> frozenset[str]:
    """The host files that are not here: none, or all of them.

    Raises:
        SeedTuneError: some are here and some are not, or the manifest names others than can be host files.
    """
    named = set(manifest.host_files)
    strange = sorted(name for name in named if not HOST_FILE.fullmatch(name) or name not in manifest.files)
    if strange:
        raise SeedTuneError(
            "the manifest leaves files to the desk that every device needs",
            file=manifest_path,
            value=strange[0],
            rule="host_files that only the computing of contexts reads",
            remedy="export the bundle again",
        )
    # A link that leads nowhere is there, and refused as such.
    absent = {name for name in named if not (manifest_path.parent / name).is_symlink()}
    absent = {name for name in absent if not (manifest_path.parent / name).exists()}
    if absent and absent != named:
        raise SeedTuneError(
            "some of the bundle's host files are missing, and some are here",
            file=manifest_path.parent / min(absent),
            value=f"missing: {', '.join(sorted(absent))}",
            rule=f"all of them or none: {', '.join(sorted(named))}",
            remedy="copy the missing ones too, or delete the others, where contexts are made at the desk",
        )
    return frozenset(absent)


def require_host_files(manifest: Manifest, plan: StagePlan, manifest_path: Path) -> None:
    """Raises SeedTuneError unless the host files of ``manifest`` are those that only contexts read, or none."""
    expected = host_files(plan, manifest.language_model.decode is not None) if CONTEXT in plan.graphs else ()
    if manifest.host_files and tuple(sorted(manifest.host_files)) != expected:
        raise SeedTuneError(
            "the manifest's host files are not those that only the computing of contexts reads",
            file=manifest_path,
            value=sorted(manifest.host_files),
            rule=", ".join(expected) or "none, for a bundle without contexts",
            remedy="export the bundle again",
        )
