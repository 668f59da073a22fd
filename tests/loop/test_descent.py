"""The loop along gradients, over a parabola whose gradient is known."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, cast

import numpy as np
import pytest
from loop_lab import PARAMETERS, ROWS, RUN_SEED, Counting

from seedtune.runtime.batches.sampler import Sampler
from seedtune.runtime.batches.types import Batch
from seedtune.runtime.estimators.gradient import Gradient
from seedtune.runtime.journal.records import GradientRecord
from seedtune.runtime.loop.descent import Descended, descend
from seedtune.runtime.loop.taken import DivergedError
from seedtune.runtime.optimizers.adamw import AdamWSettings
from seedtune.runtime.vectors import sha256_of_vector

STEPS = 30
GOAL = np.linspace(-1, 1, PARAMETERS).astype(np.float32)


class ParabolaGraph:
    """A gradient graph: the loss of row r is half the squared distance of the state from (r + 1) GOAL."""

    outputs = ("loss", "gradient")

    def __init__(self, bad_row: int | None = None) -> None:
        self.bad_row = bad_row

    def run(
        self, names: Sequence[str], batches: Iterable[Batch], shared: Mapping[str, Any]
    ) -> Iterator[tuple[np.ndarray, list[np.ndarray]]]:
        assert list(names) == ["loss", "gradient"]
        for batch in batches:
            rows = batch.arrays["row"]
            apart = shared["state"][None] - (rows[:, None] + 1) * GOAL[None]
            losses = (0.5 * (apart**2).sum(axis=1)).astype(np.float32)
            losses[rows == self.bad_row] = np.nan
            yield batch.index, [losses, apart.sum(axis=0).astype(np.float32)]


def descended(
    values: np.ndarray, limit: int = ROWS, batch_size: int = 5, steps: int = STEPS, bad_row: int | None = None
) -> tuple[list[Descended], list[GradientRecord]]:
    records: list[GradientRecord] = []
    taken = descend(
        gradient=Gradient(ParabolaGraph(bad_row)),
        optimizer=AdamWSettings(0.3).build(steps),
        rows_of=Sampler(RUN_SEED, ROWS, batch_size).indices,
        feeder=cast(Any, Counting()),
        values=values,
        record=records.extend,
        first_step=0,
        steps=steps,
        limit=limit,
    )
    return list(taken), records


def test_the_state_comes_to_where_the_mean_loss_is_least() -> None:
    values = np.zeros(PARAMETERS, np.float32)
    taken, _ = descended(values, batch_size=ROWS, steps=300)
    np.testing.assert_allclose(values, np.mean(np.arange(ROWS) + 1) * GOAL, atol=5e-2)
    assert taken[-1].loss < taken[0].loss


def test_each_step_is_recorded_with_the_state_after_it() -> None:
    values = np.zeros(PARAMETERS, np.float32)
    taken, records = descended(values)
    assert [step.step for step in taken] == list(range(1, STEPS + 1))
    assert records[-1].state_sha256 == sha256_of_vector(values)
    assert [record.loss for record in records] == [step.loss for step in taken]
    assert [record.learning_rate for record in records] == [0.3 * ((STEPS - step) / STEPS) for step in range(STEPS)]
    assert len({record.state_sha256 for record in records}) == STEPS


def test_how_rows_are_split_into_calls_does_not_matter() -> None:
    whole, split = np.zeros(PARAMETERS, np.float32), np.zeros(PARAMETERS, np.float32)
    one, _ = descended(whole)
    other, _ = descended(split, limit=2)
    np.testing.assert_allclose(whole, split, rtol=1e-5, atol=1e-6)
    assert one[0].loss == pytest.approx(other[0].loss)


def test_the_gradient_is_of_the_mean_and_its_norm_is_told() -> None:
    found = Gradient(ParabolaGraph()).measure(np.ones(PARAMETERS, np.float32), Counting().batches(range(ROWS), 5))
    expected = 1 - np.mean(np.arange(ROWS) + 1) * GOAL
    np.testing.assert_allclose(found.gradient, expected, rtol=1e-5)
    assert found.norm == pytest.approx(np.linalg.norm(expected))


def test_a_loss_that_is_not_finite_stops_the_run_before_it() -> None:
    values = np.zeros(PARAMETERS, np.float32)
    with pytest.raises(DivergedError, match="step 1"):
        descended(values, batch_size=ROWS, bad_row=3)
    assert not values.any()
