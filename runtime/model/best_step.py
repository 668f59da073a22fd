"""Which state of a run is its result."""

from __future__ import annotations

from pathlib import Path

from seedtune.runtime.telemetry.records import EVALUATIONS_FILE, ZERO_SHOT_FILE, EvaluationRecord
from seedtune.runtime.telemetry.steplog import read_json_lines


def best_step(path: Path, recorded: int) -> int | None:
    """The step with the best evaluation, or the last step of a run without evaluations; None: the untouched model."""
    file = path / EVALUATIONS_FILE
    records = read_json_lines(file, EvaluationRecord) if file.is_file() else []
    best = [record.step for record in records if record.best and record.step <= recorded]
    if not best and records and (path / ZERO_SHOT_FILE).is_file():
        return None
    return best[-1] if best else recorded
