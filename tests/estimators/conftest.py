"""A graph that is a formula, for estimators to ask."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

import numpy as np
import pytest

from seedtune.runtime.batches.types import Batch, Work
from seedtune.runtime.noise import rademacher

FEATURES = 24


def row_loss(state: np.ndarray, features: np.ndarray) -> np.float32:
    """The loss of one row: a logistic one, and a square so that both sides differ."""
    score = float(features.astype(np.float64) @ state.astype(np.float64))
    return np.float32(np.log1p(np.exp(-score)) + 0.1 * score * score)


class FormulaGraph:
    """`Graph` of `row_loss`: one state in ``shared``, or a state a row in each batch."""

    outputs = ("loss_plus", "loss_minus")

    def __init__(self) -> None:
        self.calls: list[int] = []

    def run(
        self, names: Sequence[str], batches: Iterable[Batch], shared: Mapping[str, np.ndarray]
    ) -> Iterator[tuple[np.ndarray, list[np.ndarray]]]:
        assert list(names) == ["loss_plus", "loss_minus"]
        step = shared["epsilon"][0] * rademacher(int(shared["seed"][0]), FEATURES)
        assert step.dtype == np.float32
        for batch in batches:
            rows = len(batch.index)
            self.calls.append(rows)
            states = batch.arrays["state"] if "state" in batch.arrays else [shared["state"]] * rows
            assert ("state" in batch.arrays) != ("state" in shared)
            sides = [
                [row_loss(state + side, features) for state, features in zip(states, batch.arrays["x"], strict=True)]
                for side in (step, -step)
            ]
            yield batch.index, [np.array(side, np.float32) for side in sides]


@pytest.fixture
def graph() -> FormulaGraph:
    """One of its own for each test."""
    return FormulaGraph()


@pytest.fixture(scope="session")
def features() -> np.ndarray:
    """Fifteen rows, [15, FEATURES] float32, of very different sizes."""
    generator = np.random.default_rng(8)
    return (generator.normal(size=(15, FEATURES)) * 10.0 ** generator.uniform(-2, 0.5, (15, 1))).astype(np.float32)


@pytest.fixture(scope="session")
def batches_of(features: np.ndarray):
    """``batches_of(order, size)``: the rows in that order, ``size`` a batch."""

    def give(order: Sequence[int], size: int) -> Iterator[Batch]:
        for first in range(0, len(order), size):
            chosen = np.array(order[first : first + size], np.int64)
            yield Batch({"x": features[chosen]}, chosen, Work(len(chosen)))

    return give
