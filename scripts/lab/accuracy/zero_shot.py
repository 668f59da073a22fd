"""The untouched model's answer, plain and calibrated. Nothing is learned of labels."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.special import log_softmax

from lab.accuracy.method import Budget, Outcome, Prepared


@dataclass(frozen=True)
class ZeroShot:
    """The label word of the highest score.

    Args:
        calibrated: the mean probability of each label over the training rows, whose labels are not looked at, is
            divided out (batch calibration, Zhou et al. 2024; the prior of Zhao et al. 2021 comes of empty rows).
    """

    calibrated: bool = False
    seeded: bool = False

    @property
    def name(self) -> str:
        """In tables."""
        return "zero-shot, calibrated" if self.calibrated else "zero-shot"

    def settings(self, _budget: Budget) -> dict[str, Any]:
        """Nothing to choose."""
        return {}

    def run(self, task: Prepared, _seed: int, _budget: Budget) -> Outcome:
        """Scores of the kept hidden states; no pass is made."""
        scores = label_scores(task)
        started = time.perf_counter()
        prior = np.zeros(scores["train"].shape[1])
        if self.calibrated:
            prior = np.log(np.exp(log_softmax(scores["train"], axis=1)).mean(axis=0))
        found = {part: log_softmax(of_part, axis=1) - prior for part, of_part in scores.items()}
        passes = len(scores["train"]) if self.calibrated else 0
        return task.outcome(found, passes, time.perf_counter() - started)


def label_scores(task: Prepared) -> dict[str, np.ndarray]:
    """Part -> the untouched model's label scores, [rows, L] float64."""
    words = task.words.double().numpy()
    return {part: task.frozen.last[rows.start : rows.stop, -1] @ words.T for part, rows in task.part.items()}
