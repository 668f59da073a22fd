"""Runs with a budget: what trials choose, that they are recorded and not made twice, and what a run then says."""

from __future__ import annotations

import json
import math
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest
from run_lab import LARGE, Tune, lines, trials_of

import seedtune
from seedtune.runtime.errors import SeedTuneError
from seedtune.runtime.estimators.two_sided import TwoSidedSettings
from seedtune.runtime.run.options import word_of
from seedtune.runtime.run.trials.candidates import RATES
from seedtune.runtime.run.trials.choosing import TRIALS_SHARE
from seedtune.runtime.run.trials.decision import best_trial, decide
from seedtune.runtime.telemetry.events import Event, Notice, Planned, Step
from seedtune.runtime.telemetry.trials import Trial

SECONDS = 25


def told(events: list[Event]) -> list[str]:
    return [event.text for event in events if isinstance(event, Notice)]


@pytest.fixture(scope="module")
def chosen(
    gradient_bundle: Path, tiny_data: SimpleNamespace, tmp_path_factory: pytest.TempPathFactory
) -> SimpleNamespace:
    """A run whose steps are open too, from the untouched model, which leaves a lot to learn."""
    out, events, began = tmp_path_factory.mktemp("budget") / "run", [], time.monotonic()
    with seedtune.open(gradient_bundle, threads=1) as model:
        tuning = model.tune(tiny_data.train, tiny_data.eval, out=out, budget=f"{SECONDS}s", start="zero", seed=5)
        events = list(tuning)
    return SimpleNamespace(path=out, events=events, result=tuning.result, seconds=time.monotonic() - began)


def test_the_run_keeps_to_its_budget_and_says_beforehand_what_it_expects(chosen: SimpleNamespace) -> None:
    # A machine may stand still for a moment; what is asked for is what is not left out of the account.
    assert chosen.seconds < SECONDS + 5
    (planned,) = [event for event in chosen.events if isinstance(event, Planned)]
    first = next(place for place, event in enumerate(chosen.events) if isinstance(event, Step))
    assert chosen.events.index(planned) < first
    assert chosen.result.expected == planned.expected
    expected = planned.expected
    assert expected.seconds <= SECONDS
    (line,) = [text for text in told(chosen.events[:first]) if text.startswith("expected: ")]
    assert f"{expected.method} at learning rate {expected.learning_rate:g}" in line
    assert f"{expected.steps:,} steps of {expected.batch_size} rows" in line
    assert expected.reason in told(chosen.events[:first])


def test_trials_take_no_more_than_their_share_and_are_recorded(chosen: SimpleNamespace) -> None:
    recorded = trials_of(chosen.path)
    trials = recorded["trials"]
    for kind, share in TRIALS_SHARE.items():
        seconds = [trial["seconds"] for trial in trials if trial["method"] == word_of(kind).replace("_", "-")]
        assert 0 < sum(seconds) < share * recorded["budget_seconds"] + 2
    of_probes = [trial for trial in trials if trial["method"] == "two-sided"]
    assert [trial["learning_rate"] for trial in of_probes] == list(RATES[TwoSidedSettings])
    # Fair: from one start, on the same rows, and equally long (but where the machine stood still).
    for name in ("held_out_rows", "loss_start", "batch_size"):
        assert len({trial[name] for trial in of_probes}) == 1
    slot = TRIALS_SHARE[TwoSidedSettings] * recorded["budget_seconds"] / len(of_probes)
    if all(trial["seconds"] < slot for trial in of_probes):
        assert len({trial["steps"] for trial in of_probes}) == 1
    assert of_probes[0]["loss_start"] == pytest.approx(lines(chosen.path / "evaluations.jsonl")[0]["loss"])
    for trial in trials:
        assert trial["gain"] == pytest.approx(trial["loss_start"] - trial["loss"], abs=1e-6)


@pytest.mark.parametrize("objective", ["accuracy", "f1"])
def test_trials_are_ranked_by_what_the_run_lowers(
    gradient_bundle: Path, tiny_data: SimpleNamespace, tmp_path: Path, objective: str
) -> None:
    out = tmp_path / "run"
    with seedtune.open(gradient_bundle, threads=1) as model:
        for event in model.tune(
            tiny_data.train, tiny_data.eval, out=out, budget="8s", start="zero", seed=5, objective=objective
        ):
            if isinstance(event, Planned):
                break
    trials = trials_of(out)["trials"]
    assert len(trials) == len(RATES[TwoSidedSettings])
    start = lines(out / "evaluations.jsonl")[0]
    for trial in trials:
        assert trial["objective"] == objective
        if objective == "accuracy" and trial["held_out_rows"] == start["examples"]:
            assert trial["objective_start"] == pytest.approx(start["objective"])
            assert trial["gain"] == pytest.approx(trial["objective_start"] - (1 - trial["accuracy"]))
    said = json.loads((out / "held_out_losses.json").read_text())["start_predictions"]
    assert said == [line["prediction"] for line in lines(out / "predictions_start.jsonl")]
    chosen = trials_of(out)["chosen"]
    if chosen["method"] != "none":
        surest = best_trial([msgspec.convert(trial, Trial) for trial in trials])
        assert surest is not None
        best = trials[[trial["learning_rate"] for trial in trials].index(surest.learning_rate)]
        assert best["gain"] > 0
        assert f"trials gained {best['gain']:+.4f} ±" in chosen["reason"]
        assert f"a held-out 1 - {'F1' if objective == 'f1' else 'accuracy'} of" in chosen["reason"]
        assert f"steps at {best['learning_rate']:g} in" in chosen["reason"]


def test_the_choice_is_what_the_run_does(chosen: SimpleNamespace) -> None:
    recorded = trials_of(chosen.path)["chosen"]
    description = json.loads((chosen.path / "run.json").read_text())
    settings = description["settings"]
    assert settings["estimator.kind"].replace("_", "-") == recorded["method"]
    for name in ("steps", "batch_size", "eval_every"):
        assert settings[name] == recorded[name]
    assert settings["optimizer.learning_rate"] == recorded["learning_rate"]
    trials = [msgspec.convert(trial, Trial) for trial in trials_of(chosen.path)["trials"]]
    methods = list(dict.fromkeys(trial.method for trial in trials))
    assert methods == ["two-sided", "gradient"]
    groups = [[trial for trial in trials if trial.method == method] for method in methods]
    best, reason = decide(groups, pinned=False)
    assert best is not None
    assert (recorded["method"], recorded["reason"]) == (best.method, reason)
    if best.method == "two-sided":
        shrunk = best.learning_rate * math.sqrt(min(1.0, best.steps / recorded["steps"]))
        assert recorded["learning_rate"] == pytest.approx(shrunk, rel=0.05)
    assert description["plan"]["budget_seconds"] == SECONDS
    assert description["plan"]["given"] == {"start": "zero", "seed": 5}


def test_the_run_learns_and_its_result_says_what_each_stage_reached(
    chosen: SimpleNamespace, tiny_data: SimpleNamespace
) -> None:
    result = chosen.result
    assert result.stands_for == "tuned"
    assert result.gain.is_gain
    assert result.loss_tuned < result.loss_zero_shot - 0.1
    assert result.example_passes == result.steps * result.batch_size * (2 if result.method == "two-sided" else 1)
    assert (result.accuracy_linear_probe, result.loss_linear_probe) == (None, None)
    with seedtune.open(chosen.path) as model:
        assert model.step == result.best_step
        assert model.evaluate(tiny_data.eval).loss == pytest.approx(result.loss_tuned, rel=1e-6)


def test_the_report_shows_the_trials_and_the_gain(chosen: SimpleNamespace, tmp_path: Path) -> None:
    pytest.importorskip("plotly")
    pytest.importorskip("jinja2")
    from seedtune.runtime.report.page import write_report

    page = write_report(chosen.path, tmp_path / "report.html").read_text("utf-8")
    trials = trials_of(chosen.path)
    for trial in trials["trials"]:
        assert f"{trial['gain']:+.4f} ± {trial['gain_half_width']:.4f}" in page
    assert trials["chosen"]["reason"] in page
    assert f"After, step {chosen.result.best_step}" in page
    assert "Gain over the untouched model" in page


def test_what_was_given_is_not_changed(tune_open: Tune, tmp_path: Path) -> None:
    given = {"steps": 12, "batch_size": 8, "eval_every": 4, "learning_rate": 0.05}
    result = tune_open(tmp_path / "run", budget=LARGE, **given)
    settings = json.loads((tmp_path / "run" / "run.json").read_text())["settings"]
    assert {name: settings.get(name, settings.get(f"optimizer.{name}")) for name in given} == given
    assert {trial["learning_rate"] for trial in trials_of(tmp_path / "run")["trials"]} == {0.05}
    assert result.steps == 12


@pytest.mark.parametrize("method", ["two-sided", "gradient"])
def test_a_method_that_was_given_is_the_only_one_tried(tune_open: Tune, tmp_path: Path, method: str) -> None:
    result = tune_open(tmp_path / "run", budget=LARGE, estimator=method, steps=20)
    assert {trial["method"] for trial in trials_of(tmp_path / "run")["trials"]} == {method}
    assert result.method == method
    assert 0 < result.steps <= 20


def test_where_no_trial_helps_the_closed_form_is_kept_and_that_is_said(tune_open: Tune, tmp_path: Path) -> None:
    """Steps of this size spoil whatever they start from, along noise and along gradients."""
    events: list[Event] = []
    options = {"learning_rate": 50.0, "schedule": "constant", "start": "linear-probe"}
    result = tune_open(tmp_path / "run", budget=LARGE, prepare=events.append, **options)
    assert (result.steps, result.ended_by, result.method) == (0, "choice", "none")
    assert (result.stands_for, result.best_step, result.interrupted) == ("linear-probe", 0, False)
    assert any("the start is kept" in text for text in told(events))
    assert {trial["method"] for trial in trials_of(tmp_path / "run")["trials"]} == {"two-sided", "gradient"}
    with seedtune.open(tmp_path / "run") as model:
        assert model.step == 0
        assert model.state.values.any()
    # Nothing is left to do, and nothing to choose again.
    again = tune_open(tmp_path / "run", resume=True)
    assert (again.steps, again.ended_by, again.expected) == (0, "choice", result.expected)


def test_without_held_out_rows_only_the_time_is_measured(tune_open: Tune, tmp_path: Path) -> None:
    events: list[Event] = []
    result = tune_open(tmp_path / "run", budget=LARGE, held_out=None, prepare=events.append)
    assert trials_of(tmp_path / "run")["trials"] == []
    assert (result.method, result.gain) == ("two-sided", None)
    assert result.steps > 0
    assert any("no held-out rows to try others on" in text for text in told(events))


def test_under_a_memory_limit_gradients_are_not_tried_but_can_be_asked_for(
    gradient_bundle: Path, tiny_data: SimpleNamespace, tmp_path: Path
) -> None:
    with seedtune.open(gradient_bundle, threads=1, memory_limit="8G") as model:
        settings: dict[str, Any] = {"budget": LARGE, "steps": 12, "learning_rate": 1e-6}
        list(model.tune(tiny_data.train, tiny_data.eval, out=tmp_path / "run", **settings))
    assert {trial["method"] for trial in trials_of(tmp_path / "run")["trials"]} == {"two-sided"}
    with seedtune.open(gradient_bundle, threads=1, memory_limit="8G") as model:
        settings["estimator"] = "gradient"
        list(model.tune(tiny_data.train, tiny_data.eval, out=tmp_path / "asked", **settings))
    assert {trial["method"] for trial in trials_of(tmp_path / "asked")["trials"]} == {"gradient"}


@pytest.mark.parametrize("budget", ["0", "banana", 0, -3])
def test_a_budget_that_is_none_is_refused_by_name(tune_open: Tune, tmp_path: Path, budget: object) -> None:
    with pytest.raises(SeedTuneError, match="--budget is not a duration"):
        tune_open(tmp_path / "run", budget=budget)
    assert not (tmp_path / "run").exists()


def test_a_budget_too_short_for_anything_says_what_is_the_least_and_can_be_raised(
    tune_open: Tune, tmp_path: Path
) -> None:
    with pytest.raises(SeedTuneError, match="the budget is too short") as caught:
        tune_open(tmp_path / "run", budget=0.05)
    assert "at least about" in str(caught.value.rule)
    again = {"resume": True} if (tmp_path / "run" / "trials.json").exists() else {}
    assert tune_open(tmp_path / "run", budget=LARGE, **again).expected is not None
