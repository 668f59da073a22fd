"""Reads a RUN folder into one value, and refuses what it cannot trust.

Only ``run.json`` must be there. A run that is under way, was killed, or has no held-out rows simply has less to show.
Nothing here computes or draws.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from seedtune.runtime.arrays import Array
from seedtune.runtime.errors import SeedTuneError
from seedtune.runtime.report.embeddings import read_embeddings
from seedtune.runtime.telemetry.features import EMBEDDINGS_FILE, FEATURES_FILE, FeatureResult
from seedtune.runtime.telemetry.phone.series import PhoneSeries, read_phone_series
from seedtune.runtime.telemetry.records import (
    EVALUATIONS_FILE,
    PREDICTIONS_BEST_FILE,
    PREDICTIONS_START_FILE,
    RESULT_FILE,
    RUN_FILE,
    STEPS_FILE,
    EvaluationRecord,
    PredictionRecord,
    RunDescription,
    RunResult,
    StepRecord,
)
from seedtune.runtime.telemetry.run_files import read_description, read_json
from seedtune.runtime.telemetry.steplog import read_json_lines
from seedtune.runtime.telemetry.trials import TRIALS_FILE, Trials

Record = TypeVar("Record")


@dataclass(frozen=True, slots=True)
class RunData:
    """All that a RUN folder holds.

    Attributes:
        folder: the folder itself.
        description: ``run.json``.
        steps: rising by step; of a step done twice (a run continued after a kill), the later.
        evaluations: rising by step, likewise.
        predictions_start, predictions_best: rising by index; empty without held-out rows.
        result: ``None`` while the run is unfinished.
        trials: ``None`` for a run without a budget.
        phone: what a phone told; empty for a run of a desk.
        features: how good heads are; ``None`` for a language model.
        embeddings: ``start`` and ``best`` [P, d], ``labels`` [P]; empty but for contrastive heads.
    """

    folder: Path
    description: RunDescription
    steps: tuple[StepRecord, ...]
    evaluations: tuple[EvaluationRecord, ...]
    predictions_start: tuple[PredictionRecord, ...]
    predictions_best: tuple[PredictionRecord, ...]
    result: RunResult | None
    trials: Trials | None = None
    phone: PhoneSeries = field(default_factory=PhoneSeries)
    features: FeatureResult | None = None
    embeddings: Mapping[str, Array] = field(default_factory=dict)

    @property
    def objective(self) -> str:
        """What the steps lowered: accuracy, f1, or else the loss."""
        named = str(self.description.settings.get("estimator.objective"))
        return named if named in ("accuracy", "f1") else "loss"


def collect(run_folder: str | os.PathLike[str]) -> RunData:
    """Reads the RUN folder.

    Raises:
        SeedTuneError: there is no such folder, it is no run, it is of a newer format, or a file in it is
        damaged.
    """
    folder = Path(run_folder)
    if not folder.is_dir():
        raise SeedTuneError(
            "this is a file, not a run folder" if folder.exists() else "there is no such folder",
            file=folder,
            remedy="give the folder that `seedtune run` wrote",
        )
    if not (folder / RUN_FILE).is_file():
        raise SeedTuneError(
            "this folder holds no run",
            file=folder,
            rule=f"a run folder has a {RUN_FILE}",
            remedy="give the folder that `seedtune run` wrote",
        )
    description = read_description(folder)
    result_path = folder / RESULT_FILE
    data = RunData(
        folder=folder,
        description=description,
        steps=_read_lines(folder / STEPS_FILE, StepRecord, lambda record: record.step),
        evaluations=_read_lines(folder / EVALUATIONS_FILE, EvaluationRecord, lambda record: record.step),
        predictions_start=_read_lines(folder / PREDICTIONS_START_FILE, PredictionRecord, lambda record: record.index),
        predictions_best=_read_lines(folder / PREDICTIONS_BEST_FILE, PredictionRecord, lambda record: record.index),
        result=read_json(result_path, RunResult) if result_path.exists() else None,
        trials=read_json(folder / TRIALS_FILE, Trials) if (folder / TRIALS_FILE).exists() else None,
        phone=read_phone_series(folder),
        features=read_json(folder / FEATURES_FILE, FeatureResult) if (folder / FEATURES_FILE).exists() else None,
        embeddings=read_embeddings(folder / EMBEDDINGS_FILE),
    )
    _check_labels_agree(data)
    _check_accuracies(data)
    return data


def _read_lines(path: Path, record_type: type[Record], key: Callable[[Record], int]) -> tuple[Record, ...]:
    if not path.exists():
        return ()
    latest = {key(record): record for record in read_json_lines(path, record_type)}
    return tuple(latest[number] for number in sorted(latest))


def _check_labels_agree(data: RunData) -> None:
    start = {record.index: record.label for record in data.predictions_start}
    for record in data.predictions_best:
        if start.get(record.index, record.label) != record.label:
            raise SeedTuneError(
                f"row {record.index} has label {record.label} here and {start[record.index]} at the start",
                file=data.folder / PREDICTIONS_BEST_FILE,
                rule=f"{PREDICTIONS_START_FILE} and {PREDICTIONS_BEST_FILE} are of the same held-out rows",
                remedy="these are files of two runs; copy the run folder again",
            )


def _check_accuracies(data: RunData) -> None:
    for record in data.evaluations:
        if not 0 <= record.accuracy <= 1 or record.examples < 0:
            raise SeedTuneError(
                f"the evaluation at step {record.step} is impossible",
                file=data.folder / EVALUATIONS_FILE,
                value=f"accuracy {record.accuracy}, examples {record.examples}",
                rule="accuracy is from 0 to 1, examples are 0 or more",
                remedy="restore the file from where it was copied",
            )
