"""Runs with a budget that are stopped, killed or ended, and what they go on with."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from run_lab import LARGE, Killed, Tune, trials_of

import seedtune
from seedtune.runtime.errors import SeedTuneError
from seedtune.runtime.run.trials.trial import Laboratory
from seedtune.runtime.telemetry.events import TryingSettings


def test_a_run_that_is_stopped_in_its_trials_goes_on_with_them(
    gradient_bundle: Path, tiny_data: SimpleNamespace, tune_open: Tune, tmp_path: Path
) -> None:
    tried = 0
    with seedtune.open(gradient_bundle, threads=1) as model:
        tuning = model.tune(tiny_data.train, tiny_data.eval, out=tmp_path / "run", budget=LARGE, seed=5, steps=30)
        for event in tuning:
            if isinstance(event, TryingSettings) and event.done == 1:
                tried += 1
                if tried == 2:
                    tuning.stop()
        result = tuning.result
        # The model is as it was.
        assert not model.is_run
    assert (result.steps, result.interrupted, result.method) == (0, True, None)
    (first,) = trials_of(tmp_path / "run")["trials"]
    with pytest.raises(SeedTuneError, match="stopped in its trials"):
        seedtune.open(tmp_path / "run")
    with pytest.raises(SeedTuneError, match="already holds a run"):
        tune_open(tmp_path / "run", budget=LARGE)
    result = tune_open(tmp_path / "run", resume=True)
    after = trials_of(tmp_path / "run")
    assert after["trials"][0] == first
    assert len(after["trials"]) >= 3
    assert after["chosen"] is not None
    assert result.ended_by in ("steps", "patience", "budget", "choice")
    # The time before counts.
    assert result.seconds_total > after["elapsed_seconds"] > first["seconds"]


def test_a_run_that_is_killed_in_its_trials_goes_on_with_them(
    tune_open: Tune, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trying, asked = Laboratory.trying, []

    def trying_and_die(self: Laboratory, *arguments: Any, **named: Any) -> Any:
        asked.append(arguments)
        if len(asked) == 2:
            raise Killed
        return trying(self, *arguments, **named)

    with monkeypatch.context() as patch:
        patch.setattr(Laboratory, "trying", trying_and_die)
        with pytest.raises(Killed):
            tune_open(tmp_path / "run", budget=LARGE)
    (first,) = trials_of(tmp_path / "run")["trials"]
    assert not (tmp_path / "run" / "journal.bin").exists()
    tune_open(tmp_path / "run", resume=True)
    assert trials_of(tmp_path / "run")["trials"][0] == first


def test_a_run_that_is_stopped_while_tuning_goes_on_as_any_other(
    tune_open: Tune, stop_when: Callable, tmp_path: Path
) -> None:
    given = {"steps": 10, "batch_size": 8, "eval_every": 5, "estimator": "two-sided", "learning_rate": 0.05}
    whole = tune_open(tmp_path / "whole", budget=LARGE, patience=0, **given)
    tune_open(tmp_path / "cut", budget=LARGE, patience=0, stop=stop_when(4), **given)
    trials = trials_of(tmp_path / "cut")
    result = tune_open(tmp_path / "cut", resume=True)
    assert result.state_sha256 == whole.state_sha256
    assert trials_of(tmp_path / "cut") == trials
    assert result.expected is not None


def test_a_budget_ends_a_run_and_more_of_it_goes_on(tune_open: Tune, stop_when: Callable, tmp_path: Path) -> None:
    given = {"steps": 10, "batch_size": 8, "eval_every": 5, "learning_rate": 0.05}
    whole = tune_open(tmp_path / "whole", **given)
    tune_open(tmp_path / "run", stop=stop_when(3), **given)
    # The three steps took longer than that.
    ended = tune_open(tmp_path / "run", resume=True, budget=1e-6)
    assert (ended.steps, ended.ended_by, ended.interrupted) == (3, "budget", False)
    result = tune_open(tmp_path / "run", resume=True, budget=LARGE)
    assert (result.steps, result.ended_by, result.state_sha256) == (10, "steps", whole.state_sha256)


def test_trials_of_another_version_are_refused_by_name(tune_open: Tune, tmp_path: Path) -> None:
    tune_open(tmp_path / "run", budget=LARGE, steps=2, learning_rate=0.05)
    path = tmp_path / "run" / "trials.json"
    for raw, what in (
        (path.read_bytes().replace(b'version": 1', b'version": 9'), "another version"),
        (b"{", "damaged"),
    ):
        path.write_bytes(raw)
        with pytest.raises(SeedTuneError, match=what) as caught:
            tune_open(tmp_path / "run", resume=True)
        assert str(caught.value.file) == str(path)


def test_losses_of_other_rows_are_refused_by_name(tune_open: Tune, tmp_path: Path) -> None:
    tune_open(tmp_path / "run", steps=2, learning_rate=0.05)
    path = tmp_path / "run" / "held_out_losses.json"
    path.write_bytes(b'{"start": [0.5, null]}')
    with pytest.raises(SeedTuneError, match="not those of the held-out rows") as caught:
        tune_open(tmp_path / "run", resume=True)
    assert str(caught.value.file) == str(path)
