"""`seedtune run` on a bundle of a reach, by the front door; what is not said here or asked for is a default."""

from __future__ import annotations

import shutil
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

import seedtune
from lab.accuracy.corpora import write_rows
from lab.accuracy.method import Budget, Outcome, Prepared
from lab.accuracy.peak import PeakMemory
from lab.models import source_of
from seedtune.events import Evaluated
from seedtune.runtime.bundle.manifest import MANIFEST
from seedtune.runtime.task.structure import Scope

EVALUATE_EVERY = 50
# What is chosen by a measurement otherwise, which differs from machine to machine.
BATCH_ROWS, BATCH_ROWS_OF_GRADIENTS = 64, 16
# A probability that float32 rounds to zero has a score all the same.
LEAST = 1e-30


@dataclass(frozen=True)
class SeedTuneRun:
    """A run; the state of the lowest validation loss is measured.

    Args:
        scope: of the bundle.
        layers: with state, from the top.
        estimator: "two-sided", for ``budget.steps`` steps, or "gradient", for ``budget.epochs`` passes over the rows.
        start: "zero" shows what steps reach by themselves; "linear-probe" is the default of a run.
    """

    scope: Scope
    layers: int
    estimator: Literal["two-sided", "gradient"] = "two-sided"
    start: Literal["zero", "linear-probe"] = "zero"
    seeded: bool = True

    @property
    def name(self) -> str:
        """In tables."""
        of = "" if self.estimator == "two-sided" else f", {self.estimator}"
        behind = "" if self.start == "zero" else f", {self.start}"
        return f"seedtune run {self.scope}/{self.layers}{of}{behind}"

    @property
    def _sides(self) -> int:
        return 2 if self.estimator == "two-sided" else 1

    def settings(self, budget: Budget) -> dict[str, Any]:
        """Everything else is a default."""
        rate = _rate(budget)
        if self.estimator == "two-sided":
            return {"steps": budget.steps, "batch_rows": BATCH_ROWS, "start": self.start, **rate}
        return {"epochs": budget.epochs, "batch_rows": BATCH_ROWS_OF_GRADIENTS, "start": self.start, **rate}

    def run(self, task: Prepared, seed: int, budget: Budget) -> Outcome:
        """Exports the bundle once, tunes, and measures."""
        folder = task.folder.with_name(task.folder.name + f"-{self.scope}-{self.layers}")
        files = {part: write_rows(rows, folder / f"{part}.jsonl") for part, rows in task.corpus.rows.items()}
        run, cache = folder / f"run-{self.estimator}-{self.start}-{seed}", folder / "contexts"
        batch = self.settings(budget)["batch_rows"]
        steps = budget.steps
        if self.estimator == "gradient":
            steps = max(1, budget.epochs * len(task.corpus.rows["train"]) // batch)
        shutil.rmtree(run, ignore_errors=True)
        points: list[tuple[int, float]] = []
        with seedtune.open(self._bundle(task, folder / "bundle")) as model, PeakMemory() as peak:
            started = time.perf_counter()
            tuning = model.tune(
                files["train"], files["validation"], out=run, cache=cache, estimator=self.estimator,
                steps=steps, seed=seed, batch_size=batch, eval_every=EVALUATE_EVERY, start=self.start, **_rate(budget),
            )  # fmt: skip
            evaluating = 0.0
            for event in tuning:
                if isinstance(event, Evaluated):
                    evaluating += event.record.seconds
                    if event.record.loss is not None:
                        points.append((self._sides * batch * event.record.step, event.record.loss))
            seconds = time.perf_counter() - started - evaluating
            scores = {part: _scores(model.evaluate(files[part], cache=cache)) for part in ("validation", "test")}
        return task.outcome(
            scores,
            self._sides * batch * steps,
            seconds,
            peak_bytes=peak.bytes,
            curve=points,
        )

    def _bundle(self, task: Prepared, bundle: Path) -> Path:
        if not (bundle / MANIFEST).is_file():
            layers: dict[str, Any] = {} if self.layers == len(task.model.layers) else {"layers": self.layers}
            seedtune.export(
                source_of(task.source),
                task=task.corpus.file, out=bundle, scope=self.scope, check=False, overwrite=True, **layers,
            )  # fmt: skip
        return bundle


def _rate(budget: Budget) -> dict[str, Any]:
    """The learning rate as an option of the run, if one is asked for."""
    return {} if budget.learning_rate is None else {"learning_rate": budget.learning_rate}


def _scores(evaluation: seedtune.Evaluation) -> np.ndarray:
    assert evaluation.probabilities is not None
    return np.log(np.maximum(evaluation.probabilities, LEAST))
