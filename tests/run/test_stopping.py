"""A run ends early when held-out loss falls no more, is resumed as ended, and stands for its best state."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from run_lab import Tune, journal_bytes, lines

import seedtune
from seedtune.runtime.errors import SeedTuneError
from seedtune.runtime.run.stopping import PATIENCE, Stopping, checked_patience, since_best
from seedtune.runtime.telemetry.records import EvaluationRecord

# So fast that the loss rises from the first evaluation on.
TOO_FAST = {"learning_rate": 20.0, "schedule": "constant", "eval_every": 2, "steps": 40}


def evaluations(*best: bool, seconds: float = 1.0) -> list[EvaluationRecord]:
    """One every ten steps from step 0 on."""
    return [
        EvaluationRecord(step=10 * place, accuracy=0.5, loss=0.5, examples=8, seconds=seconds, best=each)
        for place, each in enumerate(best)
    ]


@pytest.mark.parametrize(
    ("best", "count"),
    [((), 0), ((True,), 0), ((False,), 0), ((True, False), 1), ((True, False, True), 0), ((False, False, False), 2)],
)
def test_evaluations_are_counted_since_the_best_behind_the_start(best: tuple[bool, ...], count: int) -> None:
    assert since_best(evaluations(*best)) == count


def test_patience_and_budget_end_a_run_and_nothing_else_does() -> None:
    assert Stopping().reason(evaluations(True, *[False] * 50), 1e9) is None
    assert Stopping(patience=3).reason(evaluations(True, False, False), 1e9) is None
    assert Stopping(patience=3).reason(evaluations(True, False, False, False), 0.0) == "patience"
    # One evaluation, of four seconds here, has to fit behind it.
    late = evaluations(True, seconds=4.0)
    assert Stopping(budget_seconds=10.0).reason(late, 5.9) is None
    assert Stopping(budget_seconds=10.0).reason(late, 6.0) == "budget"


def test_patience_is_off_unless_asked_for_or_with_a_budget() -> None:
    assert checked_patience(None, None, held_out=True) == 0
    assert checked_patience(None, 60.0, held_out=True) == PATIENCE
    assert checked_patience(None, 60.0, held_out=False) == 0
    assert checked_patience(0, 60.0, held_out=True) == 0
    assert checked_patience(2, None, held_out=True) == 2
    for wrong in (-1, 1.5, True):
        with pytest.raises(SeedTuneError, match="--patience is out of range"):
            checked_patience(wrong, None, held_out=True)  # type: ignore[arg-type]
    with pytest.raises(SeedTuneError, match="no held-out rows"):
        checked_patience(2, None, held_out=False)


def test_a_run_that_gets_worse_ends_and_stands_for_its_start(tune_tiny: Tune, tmp_path: Path) -> None:
    result = tune_tiny(tmp_path / "run", patience=3, start="linear-probe", **TOO_FAST)
    assert (result.steps, result.ended_by, result.interrupted) == (6, "patience", False)
    assert (result.best_step, result.stands_for) == (0, "linear-probe")
    assert result.gain is not None
    assert not result.gain.is_gain
    assert result.loss_tuned is not None
    assert result.loss_linear_probe is not None
    assert result.loss_tuned > result.loss_linear_probe
    with seedtune.open(tmp_path / "run") as model:
        assert model.step == 0
    # The report has all three, and says which is kept.
    pytest.importorskip("plotly")
    from seedtune.runtime.report.page import write_report

    page = write_report(tmp_path / "run").read_text("utf-8")
    tuned = min(lines(tmp_path / "run" / "evaluations.jsonl")[1:], key=lambda line: line["loss"])["step"]
    for title in ("Accuracy before", "Linear probe", f"Tuned, step {tuned}, not kept", "After: the linear probe"):
        assert title in page
    assert "No gain over the linear probe" in page
    assert tune_tiny(tmp_path / "without", start="linear-probe", **TOO_FAST).steps == 40


def test_an_ended_run_that_is_resumed_stays_ended(tune_tiny: Tune, tmp_path: Path) -> None:
    first = tune_tiny(tmp_path / "run", patience=2, **TOO_FAST)
    before = journal_bytes(tmp_path / "run")
    again = tune_tiny(tmp_path / "run", resume=True)
    assert (again.steps, again.ended_by, again.state_sha256) == (first.steps, "patience", first.state_sha256)
    assert journal_bytes(tmp_path / "run") == before
    # More patience is no other run.
    assert tune_tiny(tmp_path / "run", resume=True, patience=0).steps == 40


def test_the_gain_is_that_of_the_rows(tune_tiny: Tune, tmp_path: Path) -> None:
    """The untouched model and the best state, as their predictions have been written."""
    result = tune_tiny(tmp_path / "run", steps=12)
    assert result.stands_for == "tuned"
    assert result.gain is not None
    first, best = (lines(tmp_path / "run" / f"predictions_{name}.jsonl") for name in ("start", "best"))
    mean = sum(row["loss"] - other["loss"] for row, other in zip(first, best, strict=True)) / len(first)
    assert result.gain.loss == pytest.approx(mean, abs=1e-6)
    assert result.gain.over == "zero-shot"
    assert result.loss_tuned == min(line["loss"] for line in lines(tmp_path / "run" / "evaluations.jsonl")[1:])
    assert json.loads((tmp_path / "run" / "held_out_losses.json").read_text())["tuned_step"] == result.best_step
    # Two sides of eight rows a step.
    assert (result.method, result.example_passes) == ("two-sided", 12 * 8 * 2)
