"""Evaluation during a run: when it is due, what is best so far, and the predictions before and after."""

from __future__ import annotations

import time
from pathlib import Path

import msgspec

from seedtune.runtime.batches.types import Feeder
from seedtune.runtime.bundle.reader import Bundle
from seedtune.runtime.files import write_durably
from seedtune.runtime.loop.state import State
from seedtune.runtime.model.evaluation import Evaluation, evaluate
from seedtune.runtime.model.splits import Split
from seedtune.runtime.run.folder import RunFolder
from seedtune.runtime.run.settings import Settings
from seedtune.runtime.telemetry.progress import RunProgress
from seedtune.runtime.telemetry.records import EvaluationRecord, PredictionRecord
from seedtune.runtime.telemetry.steplog import JsonLinesWriter, read_json_lines


class HeldOut:
    """The held-out rows of a run; ``records`` lists every evaluation so far, resumed ones included."""

    def __init__(
        self,
        folder: RunFolder,
        bundle: Bundle,
        split: Split,
        settings: Settings,
        threads: int | None,
    ) -> None:
        self.folder = folder
        self.split = split
        self._bundle = bundle
        self._settings = settings
        self._threads = threads
        self.records: list[EvaluationRecord] = (
            read_json_lines(folder.evaluations, EvaluationRecord) if folder.evaluations.exists() else []
        )

    @property
    def best(self) -> EvaluationRecord | None:
        """The evaluation with the lowest loss; the earliest of equals."""
        marked = [record for record in self.records if record.best]
        return marked[-1] if marked else None

    def at_step(self, step: int, state: State, feeder: Feeder, progress: RunProgress) -> None:
        """Evaluates ``state`` after ``step`` steps, unless this was done before the run was resumed."""
        if any(record.step == step for record in self.records):
            return
        started = time.monotonic()
        with progress.phase("evaluating", len(self.split.examples)) as phase:
            # The session lives for one evaluation only: between two, its memory is the probe's to use.
            evaluation = evaluate(
                self._bundle.graph("eval", self._threads),
                state.values,
                feeder,
                rows=self._settings.rows_per_call,
                advance=phase.advance,
            )
        best = self.best
        record = EvaluationRecord(
            step=step,
            accuracy=evaluation.accuracy,
            loss=evaluation.loss,
            examples=len(self.split.examples),
            seconds=time.monotonic() - started,
            best=best is None or (best.loss is not None and evaluation.loss < best.loss),
        )
        if step == 0:
            self._write_predictions(self.folder.predictions_start, evaluation)
        if record.best:
            self._write_predictions(self.folder.predictions_best, evaluation)
        with JsonLinesWriter(self.folder.evaluations) as log:
            log.write(record)
        self.records.append(record)
        progress.evaluation(record)

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
            for index, row in enumerate(self.split.rows)
        ]
        write_durably(path, b"\n".join(lines) + b"\n")
