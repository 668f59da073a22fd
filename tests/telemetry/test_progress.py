"""Progress is a listener: a bar on a terminal, and a line every ten seconds elsewhere."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from seedtune.runtime.durations import short_duration
from seedtune.runtime.telemetry.events import (
    CachingContexts,
    ChoosingBatchSize,
    Evaluated,
    Evaluating,
    Event,
    Finished,
    Notice,
    Prepared,
    Step,
)
from seedtune.runtime.telemetry.progress import RECENT_STEPS, RunProgress
from seedtune.runtime.telemetry.records import EvaluationRecord, RunResult, StepRecord

HOURS = 7 * 3600.0


class Clock:
    """Seconds that pass when told to."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def step(number: int, loss: float | None = 0.5, seconds: float = 1.0) -> Step:
    return Step(
        StepRecord(
            step=number,
            loss=loss,
            loss_plus=loss,
            loss_minus=loss,
            projected_gradient=0.1,
            coefficient=0.01,
            learning_rate=0.02,
            rows=8,
            tokens=64,
            padding_tokens=4,
            encode_ms=1.0,
            probe_ms=1000 * seconds - 20.0,
            update_ms=18.0,
            journal_ms=1.0,
            total_ms=1000 * seconds,
            elapsed_seconds=float(number),
            rss_anon_bytes=123_000_000,
        )
    )


def evaluated(at: int, accuracy: float) -> Evaluated:
    return Evaluated(EvaluationRecord(step=at, accuracy=accuracy, loss=0.4, examples=872, seconds=1, best=True))


def plain(clock: Clock | None = None) -> tuple[RunProgress, io.StringIO]:
    stream = io.StringIO()
    console = Console(file=stream, force_terminal=False)
    return RunProgress(console, clock or Clock()), stream


def told(progress: RunProgress, *events: Event) -> None:
    for event in events:
        progress.on(event)


def test_a_pipe_gets_one_plain_line_every_ten_seconds() -> None:
    clock = Clock()
    progress, stream = plain(clock)
    with progress:
        progress.on(Prepared({}, 100))
        for number in range(1, 36):
            clock.now = float(number)
            progress.on(step(number))
            assert len(stream.getvalue().splitlines()) == number // 10
    lines = stream.getvalue().splitlines()
    assert len(lines) == 4  # three, and what was still untold at the end
    assert lines[0] == "step 10/100 · 1 min 30 s left · loss 0.5000 · 123 MB"
    assert "\x1b" not in stream.getvalue()


def test_a_run_of_which_nothing_is_told_prints_nothing() -> None:
    progress, stream = plain()
    with progress:
        pass
    assert stream.getvalue() == ""


@pytest.mark.parametrize(
    ("event", "phase"),
    [
        (Evaluating(64, 872), "evaluating 64/872"),
        (CachingContexts("train", 1200, 67_000), "caching contexts of train 1,200/67,000"),
        (ChoosingBatchSize(2, 5), "choosing the batch size 2/5"),
    ],
)
def test_accuracy_and_phase_stand_in_the_plain_line(event: Event, phase: str) -> None:
    clock = Clock()
    progress, stream = plain(clock)
    with progress:
        told(progress, Prepared({}, 100), step(40), evaluated(40, 0.786))
        clock.now = 11.0
        progress.on(event)
        assert (
            stream.getvalue() == f"step 40/100 · 1 min 00 s left · loss 0.5000 · held-out 78.6 % · 123 MB · {phase}\n"
        )


def test_a_phase_that_is_done_leaves_the_line() -> None:
    clock = Clock()
    progress, stream = plain(clock)
    with progress:
        told(progress, Prepared({}, 100), Evaluating(0, 20), Evaluating(20, 20))
        clock.now = 11.0
        progress.on(evaluated(0, 0.5))
        assert stream.getvalue() == "step 0/100 · held-out 50.0 %\n"


def test_one_phase_takes_the_place_of_another_that_was_not_finished() -> None:
    clock = Clock()
    progress, stream = plain(clock)
    with progress:
        told(progress, Prepared({}, 9), CachingContexts("train", 3, 7))
        clock.now = 11.0
        progress.on(Evaluating(1, 2))
        assert stream.getvalue() == "step 0/9 · evaluating 1/2\n"


def test_an_evaluation_without_a_run_has_no_steps_in_its_line() -> None:
    clock = Clock()
    progress, stream = plain(clock)
    with progress:
        clock.now = 11.0
        progress.on(Evaluating(5, 10))
    assert stream.getvalue() == "evaluating 5/10\n"


def test_a_notice_is_printed_as_it_is_and_at_once() -> None:
    progress, stream = plain()
    with progress:
        progress.on(Notice("memory limit 256 MB [of it] " + "x" * 200))
        assert stream.getvalue() == "memory limit 256 MB [of it] " + "x" * 200 + "\n"


def test_a_loss_that_is_not_finite_does_not_stay_in_the_average() -> None:
    progress, _ = plain()
    with progress:
        progress.on(Prepared({}, 100))
        for number, loss in enumerate([1.0, None, float("nan"), 2.0], start=1):
            progress.on(step(number, loss))
        assert "loss 1.1000" in progress.status()


@pytest.mark.parametrize("asleep_in", [1, 5, 20])
def test_a_step_during_which_the_machine_slept_does_not_show_in_the_time_left(asleep_in: int) -> None:
    """The mean of all steps made "1 d 19 h left" of seven minutes."""
    progress, _ = plain()
    with progress:
        progress.on(Prepared({}, 400))
        for number in range(1, 21):
            progress.on(step(number, seconds=HOURS if number == asleep_in else 1.0))
            if number >= max(asleep_in, 3):
                assert progress.status().startswith(short_duration(400 - number))


def test_the_time_left_follows_the_pace_of_recent_steps() -> None:
    progress, _ = plain()
    with progress:
        progress.on(Prepared({}, 1000))
        for number in range(1, 201):
            progress.on(step(number, seconds=1.0))
        assert progress.status().startswith("13 min 20 s left")
        for number in range(201, 201 + RECENT_STEPS // 2 + 1):
            progress.on(step(number, seconds=3.0))
        assert progress.status().startswith(short_duration(3.0 * (1000 - 200 - RECENT_STEPS // 2 - 1)))


def test_the_time_left_of_a_resumed_run_counts_the_steps_that_remain() -> None:
    progress, _ = plain()
    with progress:
        told(progress, Prepared({}, 100), step(91, seconds=2.0))
        assert progress.status().startswith("18 s left")


def test_nothing_is_left_after_the_last_step() -> None:
    progress, _ = plain()
    with progress:
        told(progress, Prepared({}, 2), step(1), step(2), Finished(result()))
        assert progress.status() == "loss 0.5000 · 123 MB"


def result() -> RunResult:
    return RunResult(
        steps=2,
        loss_start=1.0,
        loss_end=0.5,
        state_sha256="0" * 64,
        journal="journal.bin",
        probe_ms_median=1.0,
        rss_anon_peak_bytes=None,
        best_step=None,
        accuracy_start=None,
        accuracy_best=None,
        accuracy_end=None,
        seconds_total=2.0,
        interrupted=False,
    )


def test_a_terminal_shows_bar_step_loss_and_phase() -> None:
    stream = io.StringIO()
    console = Console(file=stream, force_terminal=True, width=140)
    with RunProgress(console) as progress:
        told(progress, Prepared({}, 20), step(7), CachingContexts("[red]", 3, 10))
        progress._progress.refresh()
    shown = stream.getvalue()
    assert "7/20" in shown
    assert "loss 0.5000" in shown
    assert "caching contexts of [red]" in shown
    assert "3/10" in shown


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.2, "0 s"), (59.6, "1 min 00 s"), (200, "3 min 20 s"), (7500, "2 h 05 min"), (100_800, "1 d 4 h")],
)
def test_durations_have_two_units_at_most(seconds: float, text: str) -> None:
    assert short_duration(seconds) == text
