"""What a run needs before its first step: verified bundle, encoded rows, sessions, and where it stands."""

from __future__ import annotations

import datetime
import os
import platform
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

import numpy as np
import onnxruntime

from seedtune.runtime.bundle.reader import Bundle
from seedtune.runtime.data.batches import Example
from seedtune.runtime.data.rows import Row, read_rows
from seedtune.runtime.errors import SeedTuneError
from seedtune.runtime.estimators.two_sided import estimate_from
from seedtune.runtime.files import sha256_of
from seedtune.runtime.journal.format import Journal
from seedtune.runtime.optimizers.normalised import Normalised
from seedtune.runtime.run.settings import Settings
from seedtune.runtime.task.compile import CompiledTask
from seedtune.runtime.telemetry.records import (
    FORMAT_VERSION,
    DataFileInfo,
    DataInfo,
    LabelInfo,
    MachineInfo,
    ModelInfo,
    RunDescription,
    StateInfo,
    TaskInfo,
)


@dataclass(frozen=True)
class Split:
    """A data file: its rows, their tokens, and its fingerprint."""

    path: Path
    rows: list[Row]
    examples: list[Example]
    sha256: str


def load_split(path: Path, task: CompiledTask) -> Split:
    """Reads and encodes a data file.

    Raises:
        SeedTuneError: a row cannot be used; names file and line.
    """
    rows = read_rows(path, task.task)
    examples = []
    for row in rows:
        try:
            encoded = task.encode(row.fields)
        except SeedTuneError as error:
            raise SeedTuneError(
                error.what, file=f"{path}:{row.line}", value=error.value, rule=error.rule, remedy=error.remedy
            ) from error
        examples.append(Example(encoded.ids, encoded.position, row.label or 0, encoded.suffix, encoded.targets))
    return Split(path, rows, examples, sha256_of(path))


def describe_run(bundle: Bundle, settings: Settings, train: Split, held_out: Split | None) -> RunDescription:
    """run.json for a new run."""
    manifest = bundle.manifest
    return RunDescription(
        format_version=FORMAT_VERSION,
        seedtune_version=metadata.version("seedtune"),
        created=datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        bundle=str(bundle.path.resolve()),
        bundle_sha256=bundle.sha256,
        model=ModelInfo(
            source=manifest.model.source,
            family=manifest.model.family,
            architecture=manifest.model.architecture,
            parameters=manifest.model.parameters,
        ),
        task=TaskInfo(
            name=manifest.task.name,
            template=manifest.task.template,
            labels=[
                LabelInfo(value=label.value, name=label.name or label.word.strip(), word=label.word)
                for label in manifest.task.labels
            ],
        ),
        settings=settings.as_dict(),
        data=DataInfo(train=_file_info(train), eval=_file_info(held_out) if held_out else None),
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
    )


def _file_info(split: Split) -> DataFileInfo:
    return DataFileInfo(path=str(split.path.resolve()), rows=len(split.rows), sha256=split.sha256)


def _processor() -> str:
    try:
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith(("model name", "Hardware")):
                return line.partition(":")[2].strip()
    except OSError:
        return platform.processor() or platform.machine()
    return platform.processor() or platform.machine()


def require_same_run(
    description: RunDescription,
    bundle: Bundle,
    settings: Settings,
    train: Split,
    held_out: Split | None,
    folder: Path,
) -> None:
    """Raises SeedTuneError when a resumed run would not be the run that was begun."""
    recorded_eval = description.data.eval
    pairs: list[tuple[str, object, object]] = [
        ("bundle", description.bundle_sha256, bundle.sha256),
        ("training data", description.data.train.sha256, train.sha256),
        ("evaluation data", recorded_eval and recorded_eval.sha256, held_out and held_out.sha256),
        *((f"setting {name}", description.settings.get(name), value) for name, value in settings.as_dict().items()),
    ]
    for name, recorded, given in pairs:
        if recorded != given:
            raise SeedTuneError(
                f"this run was begun with another {name}",
                file=folder,
                value=given,
                rule=f"the same as at the start: {recorded!r}",
                remedy="resume with what it was begun with (leave the option out), or start a new run",
            )


def catch_up(optimizer: Normalised, journal: Journal, epsilon: float, folder: Path) -> None:
    """Shows ``optimizer`` the recorded steps and checks that it would take them again.

    Raises:
        SeedTuneError: a recorded coefficient is not what the settings lead to.
    """
    for step, record in enumerate(journal.records):
        estimate = estimate_from(float(record["loss_plus"]), float(record["loss_minus"]), epsilon)
        expected = np.float32(optimizer.coefficient(step, estimate.projected_gradient))
        if expected != record["coefficient"]:
            raise SeedTuneError(
                f"step {step + 1} of the journal was not taken by these settings",
                file=folder,
                value=float(record["coefficient"]),
                rule=f"coefficient {expected!r}",
                remedy="resume with the version of seedtune that began the run, or start a new run",
            )
