"""run.json: what a run is, said once when it begins."""

from __future__ import annotations

import datetime
from importlib import metadata

from seedtune.runtime.bundle.reader import Bundle
from seedtune.runtime.model.splits import Split
from seedtune.runtime.run.data import Data
from seedtune.runtime.run.settings import Settings
from seedtune.runtime.telemetry.records import (
    FORMAT_VERSION,
    DataFileInfo,
    DataInfo,
    LabelInfo,
    ModelInfo,
    PlanInfo,
    RunDescription,
    StateInfo,
    TaskInfo,
)
from seedtune.runtime.telemetry.this_machine import this_machine


def describe_run(
    bundle: Bundle, settings: Settings, data: Data, start_sha256: str | None, plan: PlanInfo
) -> RunDescription:
    """run.json for a new run."""
    manifest = bundle.manifest
    return RunDescription(
        format_version=FORMAT_VERSION,
        seedtune_version=metadata.version("seedtune"),
        created=datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        bundle=str(bundle.path.resolve()),
        bundle_sha256=bundle.sha256,
        model=ModelInfo(
            source=manifest.objective.model.source,
            family=manifest.objective.model.family,
            architecture=manifest.objective.model.architecture,
            parameters=manifest.objective.model.parameters,
        ),
        task=TaskInfo(
            name=manifest.objective.task.name,
            template=manifest.objective.task.template,
            labels=[
                LabelInfo(value=label.value, name=label.name or label.word.strip(), word=label.word)
                for label in manifest.objective.task.labels
            ],
        ),
        settings=settings.as_dict(),
        data=DataInfo(
            train=_file_info(data.train),
            eval=_file_info(data.held_out) if data.held_out else None,
            split_off=data.split_off,
        ),
        state=StateInfo(
            parameters=manifest.state.parameters,
            targets=[target.name for target in manifest.state.targets],
            rank=manifest.state.rank,
        ),
        machine=this_machine(),
        start_sha256=start_sha256,
        plan=plan,
    )


def _file_info(split: Split) -> DataFileInfo:
    return DataFileInfo(path=split.path, rows=len(split.rows), sha256=split.sha256)
