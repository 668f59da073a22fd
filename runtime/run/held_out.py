"""Evaluation during a run: when it is due, what is best so far, and the predictions before and after."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import msgspec

from seedtune.runtime.batches.types import Feeder
from seedtune.runtime.estimators.objectives import without_gradient
from seedtune.runtime.files import write_durably
from seedtune.runtime.graphs.state import State
from seedtune.runtime.graphs.types import Graphs
from seedtune.runtime.model.evaluation import Evaluation, evaluating
from seedtune.runtime.model.splits import Split
from seedtune.runtime.run.folder import RunFolder
from seedtune.runtime.run.listeners.outcome import best_of
from seedtune.runtime.run.settings import Settings
from seedtune.runtime.telemetry.events import Evaluated, Evaluating
from seedtune.runtime.telemetry.records import EvaluationRecord, PredictionRecord
from seedtune.runtime.telemetry.run_files import read_json
from seedtune.runtime.telemetry.steplog import JsonLinesWriter, read_json_lines


class HeldOut:
    """The held-out rows of a run; ``records`` lists every evaluation so far, resumed ones included.

    ``zero_shot`` is that of the untouched model, where it is not the start of the run.
    """

    def __init__(self, folder: RunFolder, graphs: Graphs, split: Split, feeder: Feeder, settings: Settings) -> None:
        self._folder = folder
        self._graphs = graphs
        self._split = split
        self._feeder = feeder
        self._settings = settings
        self.records: list[EvaluationRecord] = (
            read_json_lines(folder.evaluations, EvaluationRecord) if folder.evaluations.exists() else []
        )
        self.zero_shot = read_json(folder.zero_shot, EvaluationRecord) if folder.zero_shot.exists() else None

    def untouched(self, zero: State) -> Iterator[Evaluating]:
        """Evaluates the untouched model, unless that was done before the run was resumed."""
        if self.zero_shot is not None:
            return
        started = time.monotonic()
        evaluation = yield from evaluating(self._graphs, zero.values, self._feeder, rows=self._settings.rows_per_call)
        for path in (self._folder.predictions_start, self._folder.predictions_best):
            self._write_predictions(path, evaluation)
        self.zero_shot = self._record(0, evaluation, started, best=True)
        write_durably(self._folder.zero_shot, msgspec.json.encode(self.zero_shot) + b"\n")

    def at_step(self, step: int, state: State) -> Iterator[Evaluating | Evaluated]:
        """Evaluates ``state`` after ``step`` steps, if that is due and was not done before the run was resumed."""
        due = step % self._settings.eval_every == 0 or step == self._settings.steps
        if not due or any(record.step == step for record in self.records):
            return
        started = time.monotonic()
        evaluation = yield from evaluating(self._graphs, state.values, self._feeder, rows=self._settings.rows_per_call)
        before = best_of(self.records) or self.zero_shot
        best = before is None or self._is_better(evaluation, before)
        record = self._record(step, evaluation, started, best=best)
        if step == 0 and self.zero_shot is None:
            self._write_predictions(self._folder.predictions_start, evaluation)
        if record.best:
            self._write_predictions(self._folder.predictions_best, evaluation)
        with JsonLinesWriter(self._folder.evaluations) as log:
            log.write(record)
        self.records.append(record)
        yield Evaluated(record)

    def _objective(self, evaluation: Evaluation) -> float | None:
        """What the run lowers, where it is not the loss."""
        objective = self._settings.objective
        if objective == "loss":
            return None
        assert evaluation.probabilities is not None
        return without_gradient(objective, evaluation.probabilities, evaluation.labels)

    def _is_better(self, evaluation: Evaluation, before: EvaluationRecord) -> bool:
        """By the objective; of equals by the loss."""
        found = self._objective(evaluation)
        if found is not None and before.objective is not None and found != before.objective:
            return found < before.objective
        return before.loss is not None and evaluation.loss < before.loss

    def _record(self, step: int, evaluation: Evaluation, started: float, *, best: bool) -> EvaluationRecord:
        seconds = time.monotonic() - started
        return EvaluationRecord(
            step=step,
            accuracy=evaluation.accuracy,
            loss=evaluation.loss,
            examples=len(self._feeder),
            seconds=seconds,
            best=best,
            objective=self._objective(evaluation),
        )

    def _write_predictions(self, path: Path, evaluation: Evaluation) -> None:
        predictions, probabilities = evaluation.predictions, evaluation.probabilities
        if predictions is None or probabilities is None:
            return
        lines = [
            msgspec.json.encode(
                PredictionRecord(
                    index=index,
                    fields=row.fields,
                    label=int(evaluation.labels[index]),
                    prediction=int(predictions[index]),
                    probabilities=[float(value) for value in probabilities[index]],
                    loss=float(evaluation.losses[index]),
                )
            )
            for index, row in enumerate(self._split.rows)
        ]
        write_durably(path, b"\n".join(lines) + b"\n")
