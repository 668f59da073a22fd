"""Progress is a bar on a terminal, and a line every ten seconds elsewhere."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from seedtune.runtime.telemetry.progress import RunProgress, short_duration
from seedtune.runtime.telemetry.records import EvaluationRecord, StepRecord


class Clock:
    """Seconds that pass when told to."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def step(number: int, loss: float | None = 0.5) -> StepRecord:
    return StepRecord(
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
        probe_ms=980.0,
        update_ms=18.0,
        journal_ms=1.0,
        total_ms=1000.0,
        elapsed_seconds=float(number),
        rss_anon_bytes=123_000_000,
    )


def plain(clock: Clock, total: int = 100, first_step: int = 0) -> tuple[RunProgress, io.StringIO]:
    stream = io.StringIO()
    console = Console(file=stream, force_terminal=False)
    return RunProgress(total, first_step=first_step, console=console, clock=clock), stream


def test_a_pipe_gets_one_plain_line_every_ten_seconds() -> None:
    clock = Clock()
    progress, stream = plain(clock)
    with progress:
        for number in range(1, 36):
            clock.now = float(number)
            progress.step(step(number))
            assert len(stream.getvalue().splitlines()) == number // 10
    lines = stream.getvalue().splitlines()
    assert len(lines) == 4  # three, and what was still untold at the end
    assert lines[0] == "step 10/100 · 1 min 30 s left · loss 0.5000 · 123 MB"
    assert "\x1b" not in stream.getvalue()


def test_a_silent_run_prints_nothing() -> None:
    progress, stream = plain(Clock())
    with progress:
        pass
    assert stream.getvalue() == ""


def test_accuracy_and_phase_stand_in_the_plain_line() -> None:
    clock = Clock()
    progress, stream = plain(clock, first_step=40)
    with progress, progress.phase("evaluating", 872) as phase:
        progress.evaluation(EvaluationRecord(step=40, accuracy=0.786, loss=0.4, examples=872, seconds=1, best=True))
        clock.now = 11.0
        phase.advance(64)
        assert stream.getvalue() == "step 40/100 · held-out 78.6 % · evaluating 64/872\n"


def test_a_loss_that_is_not_finite_does_not_stay_in_the_average() -> None:
    progress, _ = plain(Clock())
    with progress:
        for number, loss in enumerate([1.0, None, float("nan"), 2.0], start=1):
            progress.step(step(number, loss))
        assert "loss 1.1000" in progress.status()


@pytest.mark.parametrize("total", [None, 10])
def test_a_terminal_shows_bar_step_loss_and_phase(total: int | None) -> None:
    stream = io.StringIO()
    console = Console(file=stream, force_terminal=True, width=140)
    with RunProgress(20, console=console) as progress:
        progress.step(step(7))
        with progress.phase("evaluating [red]", total) as phase:
            phase.advance(3)
            progress._progress.refresh()
    shown = stream.getvalue()
    assert "7/20" in shown
    assert "loss 0.5000" in shown
    assert "evaluating [red]" in shown


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.2, "0 s"), (59.6, "1 min 00 s"), (200, "3 min 20 s"), (7500, "2 h 05 min"), (100_800, "1 d 4 h")],
)
def test_durations_have_two_units_at_most(seconds: float, text: str) -> None:
    assert short_duration(seconds) == text
