"""The loop itself, over fakes: what it asks for in which order, and that a step is on record before it is made."""

from __future__ import annotations

import ast
import subprocess
import sys
import time
import weakref
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from loop_lab import PARAMETERS, ROWS, RUN_SEED, Counting, NumpyState, Parabola, begun, bits, looped

import seedtune.runtime.loop
from seedtune.runtime.batches.types import Batch, Work
from seedtune.runtime.estimators.protocol import Estimate
from seedtune.runtime.journal.records import Record
from seedtune.runtime.noise import derive_seed, rademacher
from seedtune.runtime.optimizers.normalised import Normalised


def test_a_step_is_recorded_before_the_state_moves() -> None:
    state, before = NumpyState(), []
    for taken in begun(state, lambda records: before.append((state.values.copy(), records))):
        (values, (record,)) = before[-1]
        assert len(before) == taken.step
        moved = values + record.coefficient[0] * rademacher(derive_seed(RUN_SEED, "probe", taken.step - 1), PARAMETERS)
        assert bits(state.values) == bits(moved)
        assert bits(state.values) != bits(values)


def test_a_record_that_cannot_be_written_leaves_the_state_as_it_was() -> None:
    state = NumpyState()
    recorded: list[np.ndarray] = []

    def record(records: Sequence[Record]) -> None:
        if len(recorded) == 3:
            raise OSError("full")
        recorded.append(state.values.copy())

    loop = begun(state, record)
    for _ in range(3):
        next(loop)
    before = bits(state.values)
    with pytest.raises(OSError, match="full"):
        next(loop)
    assert bits(state.values) == before


def test_the_state_moves_while_the_disk_is_busy_and_the_step_is_told_of_when_it_has_answered() -> None:
    state, seen = NumpyState(), []

    def record(_records: Sequence[Record]) -> Callable[[], None]:
        before = bits(state.values)
        return lambda: seen.append(bits(state.values) != before)

    for taken in begun(state, record):
        assert seen == [True] * taken.step


def test_a_disk_that_fails_ends_the_loop_before_the_step_is_told_of() -> None:
    def failing() -> None:
        raise OSError("gone")

    loop = begun(NumpyState(), lambda _records: failing)
    with pytest.raises(OSError, match="gone"):
        next(loop)


def test_what_is_recorded_alone_makes_the_state_again() -> None:
    state = NumpyState()
    _, recorded = looped(state, steps=20)
    again = np.zeros(PARAMETERS, np.float32)
    for number, record in enumerate(recorded):
        again = again + record.coefficient[0] * rademacher(derive_seed(RUN_SEED, "probe", number), PARAMETERS)
    assert bits(again) == bits(state.values)


@pytest.mark.parametrize("groups", [None, 3])
@pytest.mark.parametrize("probes", [1, 2])
def test_a_loop_that_is_resumed_at_any_step_gives_the_same_bits(probes: int, groups: int | None) -> None:
    steps = 9
    rows: dict[str, Any] = {"rows_of": lambda step: [step, step + 1, step + 2]}
    whole = NumpyState(groups)
    _, expected = looped(whole, estimator=Parabola(probes), steps=steps, **rows)
    for done in range(steps + 1):
        state, optimizer, estimator = NumpyState(groups), Normalised(0.01, steps), Parabola(probes)
        recorded = list(expected[: done * probes])
        for step in range(done):
            of_step = recorded[step * probes : (step + 1) * probes]
            plus, minus, coefficients = (
                np.array([getattr(record, name) for record in of_step])
                for name in ("loss_plus", "loss_minus", "coefficient")
            )
            optimizer.see(step, estimator.estimate_from(plus, minus), coefficients)
        seeds = [derive_seed(RUN_SEED, "probe", number) for number in range(len(recorded))]
        if recorded:
            optimizer.move(state, seeds, np.array([record.coefficient for record in recorded]))
        begin: dict[str, Any] = {"estimator": estimator, "optimizer": optimizer, "steps": steps, "first_step": done}
        assert [taken.step for taken in begun(state, recorded.extend, **begin, **rows)] == [*range(done + 1, steps + 1)]
        assert bits(state.values) == bits(whole.values)
        for record, of_whole in zip(recorded, expected, strict=True):
            assert bits(record.coefficient) == bits(of_whole.coefficient)
            assert bits(record.loss_minus) == bits(of_whole.loss_minus)


def test_a_step_sees_the_rows_that_were_chosen_for_it_within_the_limit() -> None:
    class Noting(Counting):
        def batches(self, indices: Sequence[int], limit: int) -> Iterator[Batch]:
            asked.append((list(indices), limit))
            return super().batches(indices, limit)

    asked: list[tuple[list[int], int]] = []
    estimator = Parabola()
    looped(NumpyState(), estimator=estimator, feeder=Noting(), rows_of=lambda step: [step, step + 2], limit=1)
    assert asked == [([step, step + 2], 1) for step in range(10)]
    assert [rows for _, rows in estimator.seen] == [[step, step + 2] for step in range(10)]


def test_what_a_step_tells_is_what_it_did() -> None:
    taken, _ = looped(NumpyState(), steps=4)
    assert [each.step for each in taken] == [1, 2, 3, 4]
    assert [each.learning_rate for each in taken] == pytest.approx([0.01, 0.0075, 0.005, 0.0025])
    assert all(each.work == Work(ROWS) for each in taken)
    assert all(min(each.encode_ms, each.journal_ms, each.update_ms) >= 0 for each in taken)
    assert taken[-1].estimate.loss < taken[0].estimate.loss


def test_the_time_of_making_batches_is_not_that_of_the_probe() -> None:
    class Slow(Counting):
        def batches(self, indices: Sequence[int], limit: int) -> Iterator[Batch]:
            for batch in super().batches(indices, limit):
                time.sleep(0.02)
                yield batch

    taken, _ = looped(NumpyState(), feeder=Slow(), steps=1, limit=4)
    assert taken[0].encode_ms >= 60
    assert taken[0].probe_ms < taken[0].encode_ms


def test_batches_are_made_one_at_a_time() -> None:
    class Watched(Counting):
        def batches(self, indices: Sequence[int], limit: int) -> Iterator[Batch]:
            for batch in super().batches(indices, limit):
                alive.append(sum(reference() is not None for reference in made))
                made.append(weakref.ref(batch))
                yield batch
                del batch

    class Forgetting(Parabola):
        def measure(self, state: np.ndarray, seeds: Sequence[int], batches: Iterable[Batch]) -> Estimate:
            for batch in batches:
                del batch
            return super().measure(state, seeds, Counting().batches(range(ROWS), ROWS))

    made: list[weakref.ref[Batch]] = []
    alive: list[int] = []
    looped(NumpyState(), estimator=Forgetting(), feeder=Watched(), steps=1, limit=1)
    # One at most: the generator of the feeder under this one still holds the batch that it gave last.
    assert len(alive) == ROWS
    assert max(alive) <= 1


def test_a_loop_that_is_left_makes_no_further_step() -> None:
    state = NumpyState()
    recorded: list[Record] = []
    loop = begun(state, recorded.extend)
    next(loop)
    next(loop)
    before = bits(state.values)
    assert isinstance(loop, Generator)
    loop.close()
    assert len(recorded) == 2
    assert bits(state.values) == before


@pytest.mark.parametrize("first_step", [10, 11])
def test_a_loop_that_is_at_its_end_does_nothing(first_step: int) -> None:
    state = NumpyState()
    assert looped(state, first_step=first_step) == ([], [])
    assert not state.values.any()


def test_the_loop_imports_nothing_that_knows_of_files_or_screens() -> None:
    allowed = {"batches.types", "errors", "estimators.gradient", "estimators.protocol", "graphs.state"}
    allowed |= {"journal.format", "journal.records", "loop.taken", "noise", "optimizers.adamw", "optimizers.protocol"}
    allowed |= {"vectors"}
    outside = {"__future__", "collections.abc", "dataclasses", "time", "numpy", "numpy.typing"}
    files = list(Path(seedtune.runtime.loop.__file__).parent.glob("*.py"))
    assert len(files) >= 3
    for file in files:
        for node in ast.walk(ast.parse(file.read_text("utf-8"))):
            assert not isinstance(node, ast.Call) or getattr(node.func, "id", "") not in ("open", "print")
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [str(node.module)] if isinstance(node, ast.ImportFrom) else []
            for name in names:
                assert name in outside or name.removeprefix("seedtune.runtime.") in allowed, (file.name, name)


# Runs the loop with all that it needs imported before, and counts what a process cannot do unheard.
WATCHED = """
import sys
from loop_lab import NumpyState, looped
looped(NumpyState(groups=12), steps=1)
heard, listening = [], True
sys.addaudithook(lambda event, arguments: listening and heard.append(event))
looped(NumpyState(groups=12), steps=5)
of_loop = list(heard)
open(sys.executable, "rb").close()
assert "open" in heard[len(of_loop):], "nothing would have been heard"
listening = False
loud = [event for event in of_loop if event == "open" or event.partition(".")[0] in ("os", "socket", "subprocess")]
sys.exit(f"heard {loud}" if loud else 0)
"""


def test_a_loop_over_fakes_opens_no_file_and_says_nothing() -> None:
    done = subprocess.run(
        [sys.executable, "-c", WATCHED], capture_output=True, text=True, check=False, cwd=Path(__file__).parent
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
