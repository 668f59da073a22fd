"""MeZO in PyTorch: derivative-free descent of all weights at all tokens, from the untouched model."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from contenders.mezo import mezo_step
from lab.accuracy.first_order import all_scores
from lab.accuracy.method import Budget, Outcome, Prepared, measured
from lab.accuracy.peak import PeakMemory

# Of the validation loss, the end included.
POINTS = 16


@dataclass(frozen=True)
class Mezo:
    """``budget.steps`` steps, two passes over ``batch_rows`` rows each; the last state is measured.

    The rate is constant, as the paper has it; what others came to stands in docs/log/2026-11-28.md.
    """

    batch_rows: int = 16
    learning_rate: float = 1e-6
    epsilon: float = 1e-3
    name: str = "MeZO everywhere"
    seeded: bool = True

    def settings(self, budget: Budget) -> dict[str, Any]:
        """Everything the outcome depends on."""
        rate = self.learning_rate if budget.learning_rate is None else budget.learning_rate
        return {
            "steps": budget.steps, "batch_rows": self.batch_rows, "learning_rate": rate, "epsilon": self.epsilon
        }  # fmt: skip

    @torch.no_grad()
    def run(self, task: Prepared, seed: int, budget: Budget) -> Outcome:
        """Tunes and measures; then the weights are again what they were."""
        rate = self.settings(budget)["learning_rate"]
        words = task.model.task(task.corpus.task).label_word_ids
        parameters = list(task.model.model.parameters())
        before = [parameter.clone() for parameter in parameters]
        generator = torch.Generator().manual_seed(seed)
        labels = torch.from_numpy(task.labels)
        points, seconds = [], 0.0

        def scores(rows: Sequence[int]) -> torch.Tensor:
            # The label words' rows move too.
            return task.model.last_hidden([task.examples[row] for row in rows]) @ task.model.words(words).T

        def loss(rows: list[int]) -> float:
            return float(torch.nn.functional.cross_entropy(scores(rows), labels[rows]))

        try:
            with PeakMemory() as peak:
                for step, rows in enumerate(self._batches(task, seed, budget.steps), 1):
                    started = time.perf_counter()
                    # Kept, not drawn four times: what is measured here is not memory.
                    noise = [torch.randn(parameter.shape, generator=generator) for parameter in parameters]
                    mezo_step(parameters, lambda: noise, lambda: loss(rows), self.epsilon, rate)  # noqa: B023 - called here
                    seconds += time.perf_counter() - started
                    if step % max(1, budget.steps // POINTS) == 0:
                        _, at = measured(all_scores(task, scores, "validation"), task.labels_of("validation"))
                        points.append((2 * step * self.batch_rows, at))
            found = {part: all_scores(task, scores, part) for part in ("validation", "test")}
        finally:
            for parameter, value in zip(parameters, before, strict=True):
                parameter.copy_(value)
        passes = 2 * budget.steps * self.batch_rows
        return task.outcome(found, passes, seconds, peak_bytes=peak.bytes, curve=points)

    def _batches(self, task: Prepared, seed: int, steps: int) -> Iterator[list[int]]:
        random = np.random.default_rng(seed)
        rows = np.array(task.part["train"])
        for _ in range(steps):
            yield random.choice(rows, min(self.batch_rows, len(rows)), replace=False).tolist()
