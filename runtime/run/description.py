"""run.json: what a run is, said once when it begins."""

from __future__ import annotations

import datetime
from importlib import metadata

from seedtune.runtime.bundle.reader import Bundle
from seedtune.runtime.run.materials.protocol import Material
from seedtune.runtime.run.settings import Settings
from seedtune.runtime.telemetry.records import (
    FORMAT_VERSION,
    PlanInfo,
    RunDescription,
    StateInfo,
)
from seedtune.runtime.telemetry.this_machine import this_machine


def describe_run(
    bundle: Bundle, settings: Settings, material: Material, start_sha256: str | None, plan: PlanInfo
) -> RunDescription:
    """run.json for a new run."""
    manifest = bundle.manifest
    return RunDescription(
        format_version=FORMAT_VERSION,
        seedtune_version=metadata.version("seedtune"),
        created=datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        bundle=str(bundle.path.resolve()),
        bundle_sha256=bundle.sha256,
        model=material.model,
        task=material.task,
        settings=settings.as_dict(),
        data=material.data,
        state=StateInfo(
            parameters=manifest.state.parameters,
            targets=[target.name for target in manifest.state.targets],
            rank=manifest.state.rank,
        ),
        machine=this_machine(),
        start_sha256=start_sha256,
        plan=plan,
    )
