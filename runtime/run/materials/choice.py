"""From the objective of a bundle to the material of a run."""

from __future__ import annotations

from seedtune.runtime.bundle.heads import FeatureHeads
from seedtune.runtime.run.folder import RunFolder
from seedtune.runtime.run.materials.heads import HeadMaterial
from seedtune.runtime.run.materials.protocol import Material
from seedtune.runtime.run.materials.text import TextMaterial
from seedtune.runtime.run.request import Request
from seedtune.runtime.telemetry.records import RunDescription


def material_of(request: Request, begun: RunDescription | None, folder: RunFolder, seed: int) -> Material:
    """The rows of ``request``, or those of the run ``begun`` that it resumes; ``seed`` is that of the run.

    Raises:
        SeedTuneError: they are not there, or cannot be used.
    """
    objective = request.bundle.manifest.objective
    if isinstance(objective, FeatureHeads):
        return HeadMaterial(request, objective)
    return TextMaterial(request, begun, folder, seed)
