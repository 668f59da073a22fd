"""LoRA with AdamW: at every token and layer, or inside a reach. Both share recipe, order of rows and loss."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import torch

from lab.accuracy.language_model import by_length
from lab.accuracy.low_rank import attach, detach
from lab.accuracy.method import Budget, Outcome, Prepared, measured
from lab.accuracy.peak import PeakMemory
from lab.accuracy.reach import Reach

Scores = Callable[[Sequence[int]], torch.Tensor]
# Batches of an epoch are cut from this many rows at a time, sorted by length.
SORTED_BATCHES = 8
ROWS_A_CALL = 32


@dataclass(frozen=True)
class Recipe:
    """How AdamW (Loshchilov and Hutter 2019) is run; the rate rises over ``warm_up`` of all steps, then falls to 0.

    What other rates came to stands in docs/guides/accuracy.md.
    """

    rank: int = 8
    batch_rows: int = 16
    learning_rate: float = 1e-3
    warm_up: float = 0.1
    largest_norm: float = 1.0
    weight_decay: float = 0.0

    def within(self, budget: Budget) -> Recipe:
        """This recipe at the learning rate that ``budget`` asks for."""
        return self if budget.learning_rate is None else replace(self, learning_rate=budget.learning_rate)

    def rate(self, step: int, steps: int) -> float:
        """The learning rate of ``step`` (from 0) of ``steps``."""
        warm = max(1, math.ceil(self.warm_up * steps))
        return self.learning_rate * min((step + 1) / warm, (steps - step) / max(1, steps - warm + 1))


@dataclass(frozen=True)
class Everywhere:
    """LoRA at all tokens, in all layers: what first-order tuning reaches when cost does not matter."""

    recipe: Recipe = field(default_factory=Recipe)
    name: str = "LoRA everywhere"
    seeded: bool = True

    def settings(self, budget: Budget) -> dict[str, Any]:
        """Everything the outcome depends on."""
        return {**vars(self.recipe.within(budget)), "epochs": budget.epochs}

    def run(self, task: Prepared, seed: int, budget: Budget) -> Outcome:
        """Trains and measures; rows run through the whole model every time."""
        layers = task.model.layers
        trained = attach(layers, self.recipe.rank, seed)

        def scores(rows: Sequence[int]) -> torch.Tensor:
            return task.model.last_hidden([task.examples[row] for row in rows]) @ task.words.T

        try:
            return tuned(task, self.recipe, scores, trained, task.model.model, seed, budget, curve=False)
        finally:
            detach(layers)


@dataclass(frozen=True)
class Inside:
    """LoRA inside a reach.

    Args:
        layers: how many, from the top.
        suffix: the tokens of the suffix instead of the last.
        fixed_a: only B is trained, as in a bundle's state.
    """

    layers: int
    suffix: bool = False
    fixed_a: bool = False
    recipe: Recipe = field(default_factory=Recipe)
    seeded: bool = True

    @property
    def name(self) -> str:
        """In tables."""
        name = f"LoRA {'suffix' if self.suffix else 'last'}/{self.layers}"
        return name + (", A fixed" if self.fixed_a else "")

    def settings(self, budget: Budget) -> dict[str, Any]:
        """Everything the outcome depends on."""
        return {**vars(self.recipe.within(budget)), "epochs": budget.epochs}

    def run(self, task: Prepared, seed: int, budget: Budget) -> Outcome:
        """Trains on kept contexts and measures."""
        reach = Reach(task.model, task.frozen, task.examples, self.layers, suffix=self.suffix)
        trained = attach(reach.layers, self.recipe.rank, seed, fixed_a=self.fixed_a)
        try:
            return tuned(
                task, self.recipe, lambda rows: reach.last_hidden(rows) @ task.words.T, trained, reach.layers, seed,
                budget, curve=True,
            )  # fmt: skip
        finally:
            detach(reach.layers)


def tuned(
    task: Prepared,
    recipe: Recipe,
    scores: Scores,
    trained: Sequence[torch.nn.Parameter],
    module: torch.nn.Module,
    seed: int,
    budget: Budget,
    *,
    curve: bool,
) -> Outcome:
    """Trains ``trained`` so that ``scores`` say the labels, then measures the last state.

    Args:
        task: the rows.
        recipe: of the optimizer.
        scores: label scores [B, L] of rows by their numbers.
        trained: parameters.
        module: what is to be in training mode.
        seed: of the order of rows.
        budget: its epochs.
        curve: whether the validation loss is measured after every half epoch.
    """
    recipe = recipe.within(budget)
    optimizer = torch.optim.AdamW(trained, lr=recipe.learning_rate, weight_decay=recipe.weight_decay)
    labels = torch.from_numpy(task.labels)
    batches = list(batches_of(task, recipe.batch_rows, seed, budget.epochs))
    half_epoch = max(1, len(batches) // max(1, 2 * budget.epochs))
    points, passes, seconds = [], 0, 0.0
    with PeakMemory() as peak:
        for step, rows in enumerate(batches):
            module.train()
            started = time.perf_counter()
            loss = torch.nn.functional.cross_entropy(scores(rows), labels[rows])
            optimizer.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(trained, recipe.largest_norm)
            for group in optimizer.param_groups:
                group["lr"] = recipe.rate(step, len(batches))
            optimizer.step()
            passes += len(rows)
            seconds += time.perf_counter() - started
            if curve and (step + 1) % half_epoch == 0:
                module.eval()
                _, validation_loss = measured(all_scores(task, scores, "validation"), task.labels_of("validation"))
                points.append((passes, validation_loss))
    module.eval()
    found = {part: all_scores(task, scores, part) for part in ("validation", "test")}
    about = {"parameters": sum(parameter.numel() for parameter in trained)}
    return task.outcome(found, passes, seconds, peak_bytes=peak.bytes, curve=points, about=about)


@torch.no_grad()
def all_scores(task: Prepared, scores: Scores, part: str) -> np.ndarray:
    """Label scores of every row of a part, [rows, L]."""
    rows = task.part[part]
    found = np.zeros((len(rows), len(task.words)), np.float32)
    lengths = [len(example.ids) for example in task.examples]
    for some in by_length(lengths, rows, ROWS_A_CALL):
        found[np.array(some) - rows.start] = scores(some).numpy()
    return found


def batches_of(task: Prepared, batch_rows: int, seed: int, epochs: int) -> Iterator[list[int]]:
    """The training rows of every step: shuffled, rows of similar length together, the batches shuffled again."""
    random = np.random.default_rng(seed)
    lengths = [len(example.ids) for example in task.examples]
    for _ in range(epochs):
        order = random.permutation(task.part["train"]).tolist()
        batches = []
        for start in range(0, len(order), SORTED_BATCHES * batch_rows):
            batches += by_length(lengths, order[start : start + SORTED_BATCHES * batch_rows], batch_rows)
        yield from (batches[index] for index in random.permutation(len(batches)))
