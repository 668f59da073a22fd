"""Runs by every estimator of probes: they learn, are resumed and replayed to the bit, and say what they measured."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from run_lab import Tune, journal_bytes, lines, losses_and_accuracy

import seedtune
from seedtune.runtime.errors import SeedTuneError
from seedtune.runtime.journal.file import read_journal
from seedtune.runtime.noise import rademacher
from seedtune.runtime.report.collect import collect
from seedtune.runtime.report.page import render_page

GAUSS_NEWTON: dict[str, Any] = {
    "estimator": "gauss-newton", "directions": 12, "batch_size": 24, "learning_rate": 1.0, "eval_every": 2,
}  # fmt: skip
ONE_SIDED: dict[str, Any] = {"estimator": "one-sided", "directions": 4, "learning_rate": 0.1}
RUNS: dict[str, dict[str, Any]] = {
    "gauss-newton": GAUSS_NEWTON,
    "one-sided": ONE_SIDED,
    "one-sided with momentum": ONE_SIDED | {"optimizer": "momentum"},
    "two-sided, averaged": {"average": 0.5},
    "momentum, averaged": {"optimizer": "momentum", "average": 0.5},
    "gauss-newton, averaged": GAUSS_NEWTON | {"average": 0.75},
    "accuracy": {"objective": "accuracy"},
    "f1": {"objective": "f1"},
}


@pytest.fixture(params=RUNS)
def options(request: pytest.FixtureRequest) -> dict[str, Any]:
    """The settings of each run."""
    return RUNS[request.param] | {"steps": 6}


def test_a_run_is_resumed_and_replayed_to_the_bit(
    options: dict[str, Any], tune_tiny: Tune, stop_when: Callable, tiny_bundle: Path, tmp_path: Path
) -> None:
    whole = tune_tiny(tmp_path / "whole", **options)
    for done in (2, 5):
        cut = tmp_path / f"cut-{done}"
        tune_tiny(cut, stop=stop_when(done), **options)
        assert tune_tiny(cut, resume=True).state_sha256 == whole.state_sha256
        assert journal_bytes(cut) == journal_bytes(tmp_path / "whole")
    with seedtune.open(tmp_path / "whole", step=6) as replayed:
        assert replayed.state.sha256() == whole.state_sha256


def test_the_state_is_the_start_plus_coefficients_times_noise(
    options: dict[str, Any], tune_tiny: Tune, tmp_path: Path
) -> None:
    """By the definition, in float64: the last state, or the mean of the last ones."""
    tune_tiny(tmp_path / "run", **options)
    journal = read_journal(tmp_path / "run" / "journal.bin")
    momentum = 0.9 if options.get("optimizer") == "momentum" else 0.0
    parameters = journal.header.state_parameters
    state, velocity, states = np.zeros(parameters), np.zeros(parameters), []
    probes = journal.header.records_per_step
    assert probes == options.get("directions", 1)
    for number, (seed, record) in enumerate(zip(journal.seeds().tolist(), journal.records, strict=True), 1):
        velocity = momentum * velocity + float(record["coefficient"][0]) * rademacher(seed, parameters)
        state = state + velocity
        if number % probes == 0:
            states.append(state)
    assert len(states) == 6
    tail = max(1, int(options.get("average", 0) * 6))
    with seedtune.open(tmp_path / "run", step=6) as replayed:
        np.testing.assert_allclose(replayed.state.values, np.mean(states[-tail:], axis=0), atol=1e-5)


def test_gauss_newton_learns_in_few_steps(tune_tiny: Tune, tmp_path: Path) -> None:
    options = GAUSS_NEWTON | {"steps": 3, "directions": 48, "batch_size": 48, "eval_every": 3}
    before, after, _ = losses_and_accuracy(tune_tiny(tmp_path / "run", **options))
    assert after < before - 0.1
    settings = json.loads((tmp_path / "run" / "run.json").read_text())["settings"]
    assert (settings["estimator.kind"], settings["optimizer.kind"]) == ("gauss_newton", "damped")
    assert (settings["optimizer.learning_rate"], settings["optimizer.schedule"]) == (1.0, "constant")
    for step in lines(tmp_path / "run" / "steps.jsonl"):
        # Both sides along every direction, and five lengths of the step.
        assert step["rows"] == (2 * 48 + 5) * (step["tokens"] + step["padding_tokens"])


def test_one_sided_steps_learn(tune_tiny: Tune, tmp_path: Path) -> None:
    before, after, _ = losses_and_accuracy(tune_tiny(tmp_path / "run", **ONE_SIDED | {"steps": 40, "directions": 8}))
    assert after < before - 0.05
    for step, records in zip(
        lines(tmp_path / "run" / "steps.jsonl"),
        read_journal(tmp_path / "run" / "journal.bin").records.reshape(40, 8),
        strict=True,
    ):
        assert len(set(records["loss_minus"][:, 0].tolist())) == 1
        assert np.float32(step["loss"]) == records["loss_minus"][0, 0]
        assert step["rows"] == 9 * (step["tokens"] + step["padding_tokens"])


@pytest.mark.parametrize("objective", ["accuracy", "f1"])
def test_an_objective_is_lowered_named_and_chooses_the_best(objective: str, tune_tiny: Tune, tmp_path: Path) -> None:
    options = {"steps": 60, "batch_size": 32, "learning_rate": 0.1, "eval_every": 20, "epsilon": 0.1}
    result = tune_tiny(tmp_path / "run", objective=objective, **options)
    assert result.objective == objective
    assert json.loads((tmp_path / "run" / "result.json").read_text())["objective"] == objective
    evaluations = lines(tmp_path / "run" / "evaluations.jsonl")
    found = [evaluation["objective"] for evaluation in evaluations]
    assert min(found) < found[0] - 0.1
    best = [evaluation for evaluation in evaluations if evaluation["best"]][-1]
    assert best["objective"] == min(found)
    assert result.best_step == best["step"]
    if objective == "accuracy":
        assert [1 - evaluation["accuracy"] for evaluation in evaluations] == pytest.approx(found, abs=1e-6)
        for record in read_journal(tmp_path / "run" / "journal.bin").records:
            # Rows are right or wrong: a multiple of one in 32.
            assert 32 * record["loss_plus"][0] == pytest.approx(round(32 * float(record["loss_plus"][0])), abs=1e-4)
    page = render_page(collect(tmp_path / "run"))
    assert f"<dt>Objective</dt><dd>{objective}</dd>" in page
    assert f"Objective: 1 - {'F1' if objective == 'f1' else objective}" in page
    assert result.gain is not None
    # The gain is that of what was lowered, and of the state that lowered it most, whatever it does to the loss.
    assert result.gain.half_width is not None
    assert result.gain.objective_gain is not None
    assert result.gain.objective == objective
    assert result.gain.is_gain == (result.gain.objective_gain > result.gain.half_width)
    assert result.gain.objective_gain == pytest.approx(found[0] - min(found), abs=0.02 if objective == "f1" else 1e-6)
    assert result.accuracy_tuned == best["accuracy"]
    kept = json.loads((tmp_path / "run" / "held_out_losses.json").read_text())
    assert kept["tuned_step"] == best["step"]
    assert result.gain.loss == pytest.approx(np.mean(kept["start"]) - np.mean(kept["tuned"]))
    assert f"ain over the untouched model: held-out 1 - {'F1' if objective == 'f1' else objective}" in page


def test_without_held_out_rows_an_objective_is_told_as_no_loss(tune_tiny: Tune, tmp_path: Path) -> None:
    result = tune_tiny(tmp_path / "run", held_out=None, objective="accuracy")
    assert (result.loss_start, result.loss_end, result.objective) == (None, None, "accuracy")


@pytest.mark.parametrize("estimator", ["gradient", "gauss-newton", "one-sided"])
def test_an_objective_without_a_gradient_is_for_two_sides(estimator: str, tune_tiny: Tune, tmp_path: Path) -> None:
    with pytest.raises(SeedTuneError, match="--objective belongs to another estimator") as caught:
        tune_tiny(tmp_path / "run", estimator=estimator, objective="accuracy", learning_rate=0.1)
    assert "two-sided" in str(caught.value)


def test_a_step_of_one_row_is_refused_by_gauss_newton(tune_tiny: Tune, tmp_path: Path) -> None:
    with pytest.raises(SeedTuneError, match="one row") as caught:
        tune_tiny(tmp_path / "run", **GAUSS_NEWTON | {"batch_size": 1})
    assert "--batch-size" in str(caught.value)


def test_how_many_rows_a_step_is_solved_of_is_a_constant(
    tune_tiny: Tune, tiny_data: SimpleNamespace, tmp_path: Path
) -> None:
    tune_tiny(tmp_path / "run", **GAUSS_NEWTON | {"batch_size": 0, "steps": 1})
    description = json.loads((tmp_path / "run" / "run.json").read_text())
    assert description["settings"]["batch_size"] == min(64, description["data"]["train"]["rows"])


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"estimator": "gauss-newton", "optimizer": "momentum"}, "--optimizer damped"),
        ({"optimizer": "damped"}, "--optimizer normalised or momentum"),
        ({"estimator": "one-sided", "optimizer": "damped"}, "--optimizer standardised or normalised or momentum"),
        ({"estimator": "one-sided", "directions": 1}, ">= 2 and <= 65536"),
        ({"average": 1.5}, ">= 0 and <= 1"),
        ({"objective": "recall"}, "accuracy, f1, loss"),
    ],
)
def test_what_does_not_go_together_is_refused_by_name(
    options: dict[str, Any], named: str, tune_tiny: Tune, tmp_path: Path
) -> None:
    with pytest.raises(SeedTuneError) as caught:
        tune_tiny(tmp_path / "run", **options)
    assert named in str(caught.value)


@pytest.mark.parametrize("estimator", ["gauss-newton", "one-sided"])
def test_within_a_memory_limit_the_journal_is_the_same(
    estimator: str, tiny_bundle: Path, tiny_data: SimpleNamespace, tmp_path: Path
) -> None:
    options: dict[str, Any] = {
        "estimator": estimator,
        "directions": 4,
        "steps": 2,
        "batch_size": 12,
        "start": "zero",
        "rows_per_call": 60,
    }
    for name, limit in (("mapped", None), ("streamed", "2G")):
        with seedtune.open(tiny_bundle, threads=1, memory_limit=limit) as model:
            for _event in model.tune(tiny_data.train, out=tmp_path / name, **options):
                pass
    assert journal_bytes(tmp_path / "streamed") == journal_bytes(tmp_path / "mapped")
