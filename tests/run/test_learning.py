"""Tuning learns, small calls change rounding only, and a loss that is not finite ends a run in good order."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from run_lab import Tune, journal_bytes, losses_and_accuracy

from seedtune.runtime.estimators.protocol import Estimate
from seedtune.runtime.journal.file import read_journal
from seedtune.runtime.loop.taken import DivergedError
from seedtune.runtime.model.tuned import open_tuned


def test_small_calls_lead_to_the_same_run_within_rounding(
    whole: SimpleNamespace, tune_tiny: Tune, tmp_path: Path
) -> None:
    tune_tiny(tmp_path / "small", rows_per_call=40, held_out=None)
    large = read_journal(whole.path / "journal.bin").records
    small = read_journal(tmp_path / "small" / "journal.bin").records
    assert small["loss_plus"] == pytest.approx(large["loss_plus"], rel=1e-3)
    assert small["coefficient"] == pytest.approx(large["coefficient"], rel=1e-2)


def test_tuning_lowers_the_loss_of_rows_it_has_not_seen(tune_tiny: Tune, tmp_path: Path) -> None:
    for seed in (0, 1):
        result = tune_tiny(tmp_path / str(seed), steps=60, batch_size=16, eval_every=60, seed=seed)
        # Measured 0.79 -> 0.2 to 0.45 nats; chance is ln 2 = 0.69, which a model that learnt nothing cannot pass.
        loss_start, loss_end, accuracy_end = losses_and_accuracy(result)
        assert loss_start > 0.6
        assert loss_end < 0.55
        assert accuracy_end >= 0.8


def test_a_huge_learning_rate_diverges_and_keeps_the_last_good_state(
    tune_tiny: Tune, tmp_path: Path, tiny_data: SimpleNamespace
) -> None:
    out = tmp_path / "run"
    with pytest.raises(DivergedError, match="learning rate 1e\\+30") as caught:
        tune_tiny(out, learning_rate=1e30, schedule="constant", held_out=None)
    assert "--learning-rate" in str(caught.value)
    journal = read_journal(out / "journal.bin")
    assert 0 < journal.steps < 8
    result = json.loads((out / "result.json").read_text())
    assert result["steps"] == journal.steps
    assert open_tuned(out).state.sha256() == result["state_sha256"]


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), -float("inf")])
def test_a_loss_that_is_not_finite_stops_the_run_before_anything_is_recorded(
    whole: SimpleNamespace, tune_tiny: Tune, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, bad: float
) -> None:
    from seedtune.runtime.estimators import two_sided

    measure, calls = two_sided.TwoSided.measure, [0]

    def spoilt(self: two_sided.TwoSided, *arguments: Any) -> Estimate:
        calls[0] += 1
        good = measure(self, *arguments)
        return self.estimate_from(good.loss_plus, np.full_like(good.loss_minus, bad)) if calls[0] == 5 else good

    with monkeypatch.context() as patch:
        patch.setattr(two_sided.TwoSided, "measure", spoilt)
        with pytest.raises(DivergedError, match="step 5"):
            tune_tiny(tmp_path / "run")
    raw = journal_bytes(tmp_path / "run")
    assert raw == journal_bytes(whole.path)[: len(raw)]
    assert read_journal(tmp_path / "run" / "journal.bin").steps == 4
    assert json.loads((tmp_path / "run" / "result.json").read_text())["steps"] == 4
    assert open_tuned(tmp_path / "run").step in (0, 3)
