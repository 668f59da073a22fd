"""run.json: what a run is, said once when it begins."""

from __future__ import annotations

import datetime
import os
import platform
from importlib import metadata
from pathlib import Path

import onnxruntime

from seedtune.runtime.bundle.reader import Bundle
from seedtune.runtime.model.splits import Split
from seedtune.runtime.run.data import Data
from seedtune.runtime.run.settings import Settings
from seedtune.runtime.telemetry.records import (
    FORMAT_VERSION,
    DataFileInfo,
    DataInfo,
    LabelInfo,
    MachineInfo,
    ModelInfo,
    PlanInfo,
    RunDescription,
    StateInfo,
    TaskInfo,
)


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
        machine=MachineInfo(
            platform=platform.platform(),
            processor=_processor(),
            cores=os.cpu_count() or 1,
            python=platform.python_version(),
            onnxruntime=onnxruntime.__version__,
        ),
        start_sha256=start_sha256,
        plan=plan,
    )


def _file_info(split: Split) -> DataFileInfo:
    return DataFileInfo(path=split.path, rows=len(split.rows), sha256=split.sha256)


def _processor() -> str:
    try:
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith(("model name", "Hardware")):
                return line.partition(":")[2].strip()
    except OSError:
        return platform.processor() or platform.machine()
    return platform.processor() or platform.machine()
