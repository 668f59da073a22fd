"""Closed forms: multinomial logistic regression on frozen hidden states at the label position."""

from __future__ import annotations

import time
import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegressionCV
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler

from lab.accuracy.method import Budget, Outcome, Prepared

STRENGTHS = tuple(10.0**power for power in range(-5, 1))
FOLDS = 5
ITERATIONS = 500


@dataclass(frozen=True)
class LinearProbe:
    """Logistic regression whose strength is chosen by the loss in cross-validation.

    Args:
        parts: into how many equal parts of its depth the model is cut; the states at their ends are put side by side.
    """

    parts: int = 1
    seeded: bool = False

    @property
    def name(self) -> str:
        """In tables."""
        return "linear probe" if self.parts == 1 else f"linear probe, {self.parts} layers"

    def settings(self, _budget: Budget) -> dict[str, Any]:
        """The grid."""
        return {"strengths": list(STRENGTHS), "folds": FOLDS}

    def run(self, task: Prepared, _seed: int, _budget: Budget) -> Outcome:
        """Fits on the training rows."""
        last = task.frozen.last
        started = time.perf_counter()
        states = {part: self.features(last[rows.start : rows.stop]) for part, rows in task.part.items()}
        probe = fitted(states["train"], task.labels_of("train"))
        seconds = time.perf_counter() - started
        scores = {part: probe.predict_log_proba(states[part]) for part in ("validation", "test")}
        return task.outcome(scores, len(states["train"]), seconds)

    def features(self, last: np.ndarray) -> np.ndarray:
        """[R, L + 1, H] -> [R, parts x H], the deepest states last."""
        ends = [round((last.shape[1] - 1) * part / self.parts) for part in range(1, self.parts + 1)]
        return np.concatenate([last[:, end] for end in ends], axis=1)


def fitted(states: np.ndarray, labels: np.ndarray) -> Pipeline:
    """A regression of labels [R] on standardised states [R, F], its strength the best of STRENGTHS over FOLDS folds."""
    regression = LogisticRegressionCV(
        Cs=STRENGTHS, cv=FOLDS, scoring="neg_log_loss", max_iter=ITERATIONS, random_state=0
    )
    with warnings.catch_warnings():
        # Weak strengths of many features stop early; they are not what is chosen.
        warnings.simplefilter("ignore", ConvergenceWarning)
        # Options that older versions, which are allowed, do not have.
        warnings.simplefilter("ignore", FutureWarning)
        return make_pipeline(StandardScaler(), regression).fit(states, labels)
