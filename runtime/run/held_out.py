"""Evaluation during a run: what is best so far, the predictions before and after, and the loss of each row."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Iterator, Sequence
from pathlib import Path

import msgspec
import numpy as np
import numpy.typing as npt

from seedtune.runtime.arrays import encode_arrays, read_arrays
from seedtune.runtime.estimators.objectives import Objective, without_gradient
from seedtune.runtime.files import write_durably
from seedtune.runtime.graphs.state import State
from seedtune.runtime.model.evaluation import Evaluation
from seedtune.runtime.run.beside_start import BesideStart
from seedtune.runtime.run.folder import RunFolder
from seedtune.runtime.run.listeners.outcome import best_of, is_best_tuned
from seedtune.runtime.telemetry.events import Evaluated, Evaluating
from seedtune.runtime.telemetry.features import FeatureResult
from seedtune.runtime.telemetry.records import EvaluationRecord, PredictionRecord
from seedtune.runtime.telemetry.run_files import read_json
from seedtune.runtime.telemetry.steplog import JsonLinesWriter, read_json_lines

# Evaluates a state [n] on all held-out rows, or on those at the given places.
Examining = Callable[[npt.NDArray[np.float32], "npt.NDArray[np.int64] | None"], Generator[Evaluating, None, Evaluation]]


class HeldOut:
    """The held-out rows of a run; ``records`` lists every evaluation so far, resumed ones included.

    ``zero_shot`` is that of the untouched model, where it is not the start of the run; ``features`` tells how good
    heads are, if the run is one of heads; ``beside_start`` what the rows gain.

    Args:
        folder: of the run.
        fields: of each row, for its predictions.
        examining: evaluates the rows.
        objective: what the run lowers.
    """

    def __init__(
        self,
        folder: RunFolder,
        fields: Sequence[dict[str, str]],
        examining: Examining,
        objective: Objective = "loss",
    ) -> None:
        self._folder = folder
        self._fields = fields
        self._examining = examining
        self._objective_name = objective
        self.records: list[EvaluationRecord] = (
            read_json_lines(folder.evaluations, EvaluationRecord) if folder.evaluations.exists() else []
        )
        self.zero_shot = read_json(folder.zero_shot, EvaluationRecord) if folder.zero_shot.exists() else None
        self.features = read_json(folder.features, FeatureResult) if folder.features.exists() else None
        self.beside_start = BesideStart(folder.held_out_losses, len(fields), objective)

    def __len__(self) -> int:
        """The number of rows."""
        return len(self._fields)

    @property
    def best_step(self) -> int | None:
        """The step of the best evaluation so far; None where the untouched model is better, or before the first."""
        best = best_of(self.records)
        return best.step if best else None

    def evaluating(
        self, state: State, places: npt.NDArray[np.int64] | None = None
    ) -> Generator[Evaluating, None, Evaluation]:
        """Evaluates ``state`` on all rows, or on those at ``places``; takes note of nothing."""
        return self._examining(state.values, places)

    def untouched(self, zero: State) -> Iterator[Evaluating]:
        """Evaluates the untouched model, unless that was done before the run was resumed."""
        if self.zero_shot is not None:
            return
        started = time.monotonic()
        evaluation = yield from self.evaluating(zero)
        for path in (self._folder.predictions_start, self._folder.predictions_best):
            self._write_predictions(path, evaluation)
        self.zero_shot = self._record(0, evaluation, started, best=True)
        write_durably(self._folder.zero_shot, msgspec.json.encode(self.zero_shot) + b"\n")

    def at_step(self, step: int, state: State) -> Iterator[Evaluating | Evaluated]:
        """Evaluates ``state`` after ``step`` steps, unless that was done before."""
        if any(record.step == step for record in self.records):
            return
        started = time.monotonic()
        evaluation = yield from self.evaluating(state)
        before = best_of(self.records) or self.zero_shot
        best = before is None or self._is_better(evaluation, before)
        record = self._record(step, evaluation, started, best=best)
        if step == 0 and self.zero_shot is None:
            self._write_predictions(self._folder.predictions_start, evaluation)
        if record.best:
            self._write_predictions(self._folder.predictions_best, evaluation)
        self._note_quality(record, evaluation)
        if not step:
            self.beside_start.note_start(evaluation)
        elif is_best_tuned(record, self.records):
            self.beside_start.note_best(step, evaluation)
        with JsonLinesWriter(self._folder.evaluations) as log:
            log.write(record)
        self.records.append(record)
        yield Evaluated(record)

    def _objective(self, evaluation: Evaluation) -> float | None:
        """What the run lowers, where it is not the loss."""
        if self._objective_name == "loss":
            return None
        assert evaluation.probabilities is not None
        return without_gradient(self._objective_name, evaluation.probabilities, evaluation.labels)

    def _is_better(self, evaluation: Evaluation, before: EvaluationRecord) -> bool:
        """By the objective; of equals by the loss."""
        found = self._objective(evaluation)
        if found is not None and before.objective is not None and found != before.objective:
            return found < before.objective
        return before.loss is not None and evaluation.loss < before.loss

    def _note_quality(self, record: EvaluationRecord, evaluation: Evaluation) -> None:
        """Keeps how good heads are at the start, and at their best."""
        if evaluation.quality is None:
            return
        if not record.step:
            self.features = FeatureResult(before=evaluation.quality, after=evaluation.quality, step=0)
            self._keep_embeddings("start", evaluation)
        elif record.best and self.features is not None:
            self.features = msgspec.structs.replace(self.features, after=evaluation.quality, step=record.step)
        else:
            return
        self._keep_embeddings("best", evaluation)
        write_durably(self._folder.features, msgspec.json.encode(self.features) + b"\n")

    def _keep_embeddings(self, name: str, evaluation: Evaluation) -> None:
        """Puts those of ``evaluation`` into the file of a picture before and after."""
        if evaluation.embeddings is None:
            return
        path = self._folder.embeddings
        kept = (
            {each: np.array(values) for each, values in read_arrays(path, "the embeddings of the run").items()}
            if path.exists()
            else {}
        )
        kept |= {name: evaluation.embeddings.values, "labels": evaluation.embeddings.labels}
        write_durably(path, b"".join(encode_arrays(kept)))

    def _record(self, step: int, evaluation: Evaluation, started: float, *, best: bool) -> EvaluationRecord:
        seconds = time.monotonic() - started
        return EvaluationRecord(
            step=step,
            accuracy=evaluation.accuracy,
            loss=evaluation.loss,
            examples=len(self),
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
                    fields=fields,
                    label=int(evaluation.labels[index]),
                    prediction=int(predictions[index]),
                    probabilities=[float(value) for value in probabilities[index]],
                    loss=float(evaluation.losses[index]),
                )
            )
            for index, fields in enumerate(self._fields)
        ]
        write_durably(path, b"\n".join(lines) + b"\n")
