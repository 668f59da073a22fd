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
        # Both sides along every direction.
        assert step["rows"] == 2 * 48 * (step["tokens"] + step["padding_tokens"])


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
