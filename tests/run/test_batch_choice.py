"""The batch size a run chooses: from a machine whose times are known, and in a real run."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import numpy as np
import pytest

from seedtune.runtime.batches.token_rows import WholeRows
from seedtune.runtime.batches.types import Batch
from seedtune.runtime.estimators.protocol import Estimate
from seedtune.runtime.generators import result_of
from seedtune.runtime.run.choose_batch import (
    FIXED_SHARE,
    LARGEST,
    SMALLEST,
    BatchChoice,
    best_size,
    choosing_batch_size,
)
from seedtune.runtime.task.example import Example
from seedtune.runtime.telemetry.events import ChoosingBatchSize
from seedtune.runtime.telemetry.records import RunResult
from seedtune.runtime.telemetry.run_files import read_description


class Clockwork:
    """An estimator that takes ``fixed_ms`` and ``example_ms`` an example."""

    def __init__(self, fixed_ms: float, example_ms: float) -> None:
        self.fixed_ms, self.example_ms, self.measured = fixed_ms, example_ms, 0

    probes = 1
    passes_a_row = 2

    def measure(self, state: np.ndarray, seeds: Sequence[int], batches: Iterable[Batch]) -> Estimate:
        examples = sum(len(batch.index) for batch in batches)
        self.measured += len(seeds)
        time.sleep((self.fixed_ms + self.example_ms * examples) / 1e3)
        return self.estimate_from(np.ones((1, 1), np.float32), np.ones((1, 1), np.float32))

    def estimate_from(self, loss_plus: np.ndarray, loss_minus: np.ndarray) -> Estimate:
        return Estimate(loss_plus, loss_minus, np.zeros((1, 1)))


def choose_batch_size(estimator: Clockwork, feeder: WholeRows, *others: int) -> BatchChoice:
    """What the measurement comes to, and that it tells of every probe."""
    told: list[ChoosingBatchSize] = []
    choice = result_of(choosing_batch_size(estimator, feeder, *others), told.append)
    assert [event.done for event in told] == list(range(told[-1].total + 1))
    return choice


def feeder_of(examples: int) -> WholeRows:
    """Equal rows."""
    return WholeRows([Example(np.arange(3), 2, 0)] * examples, 0)


@pytest.mark.parametrize("fixed_ms", [0.0, 10.0, 100.0, 1000.0])
def test_the_choice_is_the_smallest_power_of_two_that_makes_fixed_time_a_small_share(fixed_ms: float) -> None:
    size = best_size(fixed_ms, 1.0, 10**6)
    assert size.bit_count() == 1
    assert SMALLEST <= size <= LARGEST
    if size < LARGEST:
        assert fixed_ms <= FIXED_SHARE * (fixed_ms + size)
    if size > SMALLEST:
        assert fixed_ms > FIXED_SHARE * (fixed_ms + size / 2)


def test_no_more_examples_than_there_are() -> None:
    assert best_size(1e6, 1.0, 7) == 7


def test_times_are_told_apart_by_measuring() -> None:
    slow = Clockwork(60.0, 0.4)
    choice = choose_batch_size(slow, feeder_of(500), 32, 512, 5)
    assert 40 < choice.fixed_ms < 90
    assert 0.2 < choice.example_ms < 1.0
    assert choice.batch_size >= 256
    assert slow.measured <= 5
    quick = choose_batch_size(Clockwork(0.0, 0.5), feeder_of(500), 32, 512, 5)
    assert quick.batch_size < choice.batch_size


def test_few_examples_are_enough_to_measure() -> None:
    for examples in (1, 2, 5):
        assert choose_batch_size(Clockwork(0.0, 0.1), feeder_of(examples), 32, 512, 5).batch_size == examples


def test_a_run_records_the_number_and_a_resumed_run_keeps_it(
    suffix_bundle: Path,
    tune_tiny: Callable[..., RunResult],
    stop_when: Callable[[int], Callable[[], bool]],
    tmp_path: Path,
) -> None:
    run = tmp_path / "run"
    first = tune_tiny(run, bundle=suffix_bundle, batch_size=0, stop=stop_when(2))
    recorded = read_description(run).settings["batch_size"]
    assert first.interrupted
    assert first.batch_size == recorded
    assert recorded > 0
    assert tune_tiny(run, bundle=suffix_bundle, resume=True).batch_size == recorded


def test_scope_all_takes_32(tune_tiny: Callable[..., RunResult], tmp_path: Path) -> None:
    assert tune_tiny(tmp_path / "run", batch_size=0, steps=1).batch_size == 32
