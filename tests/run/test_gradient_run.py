"""Runs along exact gradients: they learn, can be interrupted and killed, and their states are kept and proven."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from run_lab import Killed, Tune, journal_bytes, lines, losses_and_accuracy

import seedtune
from seedtune.runtime.errors import SeedTuneError
from seedtune.runtime.journal.file import JournalWriter, read_journal
from seedtune.runtime.journal.records import GradientRecord

GRADIENT: dict[str, Any] = {"estimator": "gradient", "learning_rate": 0.02}


@pytest.fixture(scope="session", params=["causal", "masked"])
def reach_bundle(request: pytest.FixtureRequest, bundle_of: Callable[..., Path]) -> Path:
    """A bundle of scope "last" in one layer of two."""
    return bundle_of(request.param, "last", "fp16", "fp32", 1)


@pytest.fixture(scope="session")
def causal_bundle(bundle_of: Callable[..., Path]) -> Path:
    """The causal one of them."""
    return bundle_of("causal", "last", "fp16", "fp32", 1)


def kept(run: Path) -> list[int]:
    return sorted(int(path.stem) for path in (run / "states").iterdir())


def test_few_steps_lower_the_loss_of_rows_it_has_not_seen(reach_bundle: Path, tune_tiny: Tune, tmp_path: Path) -> None:
    options = {"steps": 30, "batch_size": 16, "eval_every": 30} | GRADIENT
    before, after, _ = losses_and_accuracy(tune_tiny(tmp_path / "run", bundle=reach_bundle, **options))
    assert after < before - 0.1
    settings = json.loads((tmp_path / "run" / "run.json").read_text())["settings"]
    assert (settings["estimator.kind"], settings["optimizer.kind"]) == ("gradient", "adamw")


@pytest.mark.parametrize("done", [1, 4])
def test_an_interrupted_run_is_the_uninterrupted_one(
    causal_bundle: Path, tune_tiny: Tune, stop_when: Callable, tmp_path: Path, done: int
) -> None:
    whole = tune_tiny(tmp_path / "whole", bundle=causal_bundle, **GRADIENT)
    tune_tiny(tmp_path / "cut", bundle=causal_bundle, stop=stop_when(done), **GRADIENT)
    assert done in kept(tmp_path / "cut")
    second = tune_tiny(tmp_path / "cut", bundle=causal_bundle, resume=True)
    assert second.state_sha256 == whole.state_sha256
    assert journal_bytes(tmp_path / "cut") == journal_bytes(tmp_path / "whole")


def test_a_kill_costs_the_steps_since_the_last_kept_state_and_no_more(
    causal_bundle: Path, tune_tiny: Tune, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = tune_tiny(tmp_path / "whole", bundle=causal_bundle, **GRADIENT)
    begin = JournalWriter.begin

    def begin_and_die(self: JournalWriter, records: Sequence[GradientRecord]) -> Callable[[], None]:
        settle = begin(self, records)

        def settled() -> None:
            settle()
            if self.count == 5:
                raise Killed

        return settled

    def write_no_result(*_arguments: object) -> None:
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(JournalWriter, "begin", begin_and_die)
        patch.setattr("seedtune.runtime.run.driver.Run._conclude", write_no_result)
        with pytest.raises(Killed):
            tune_tiny(tmp_path / "killed", bundle=causal_bundle, **GRADIENT)
    assert read_journal(tmp_path / "killed" / "journal.bin").steps == 5
    assert max(kept(tmp_path / "killed")) == 3
    second = tune_tiny(tmp_path / "killed", bundle=causal_bundle, resume=True)
    assert second.state_sha256 == whole.state_sha256
    assert journal_bytes(tmp_path / "killed") == journal_bytes(tmp_path / "whole")
    assert [line["step"] for line in lines(tmp_path / "killed" / "steps.jsonl")] == list(range(1, 9))


def test_the_best_state_and_the_latest_are_kept_and_no_other(
    causal_bundle: Path, tune_tiny: Tune, tmp_path: Path
) -> None:
    result = tune_tiny(tmp_path / "run", bundle=causal_bundle, steps=12, **GRADIENT)
    assert result.best_step is not None
    assert set(kept(tmp_path / "run")) == {result.best_step, 12} - {0}
    with seedtune.open(tmp_path / "run") as model:
        assert model.step == result.best_step
    with seedtune.open(tmp_path / "run", step=12) as model:
        assert model.state.sha256() == result.state_sha256
    with pytest.raises(SeedTuneError, match="was not kept"), seedtune.open(tmp_path / "run", step=5) as model:
        assert model.state is None


def test_a_run_without_held_out_rows_gives_its_last_state(causal_bundle: Path, tune_tiny: Tune, tmp_path: Path) -> None:
    result = tune_tiny(tmp_path / "run", bundle=causal_bundle, held_out=None, **GRADIENT)
    with seedtune.open(tmp_path / "run") as model:
        assert (model.step, model.state.sha256()) == (8, result.state_sha256)


def test_a_kept_state_that_was_altered_or_exchanged_is_refused(
    causal_bundle: Path, tune_tiny: Tune, tmp_path: Path
) -> None:
    tune_tiny(tmp_path / "run", bundle=causal_bundle, held_out=None, **GRADIENT)
    (path,) = (tmp_path / "run" / "states").iterdir()
    raw = bytearray(path.read_bytes())
    raw[int.from_bytes(raw[:8], "little") + 8 + 100] ^= 1
    path.write_bytes(raw)
    with pytest.raises(SeedTuneError, match="not the one that the journal recorded"):
        assert seedtune.open(tmp_path / "run").state
    with pytest.raises(SeedTuneError, match="not the one that the journal recorded"):
        tune_tiny(tmp_path / "run", bundle=causal_bundle, resume=True)


@pytest.mark.parametrize(
    ("options", "what"),
    [
        ({"estimator": "gradient", "optimizer": "momentum"}, "does not go with"),
        ({"estimator": "two-sided", "optimizer": "adamw"}, "does not go with"),
        ({"estimator": "gradient", "clip": 2.0}, "--clip belongs to another optimizer"),
        ({"estimator": "gradient", "epsilon": 0.1}, "--epsilon belongs to another estimator"),
        ({"beta1": 0.5}, "--beta1 belongs to another optimizer"),
    ],
)
def test_options_that_do_not_go_together_are_refused_by_name(
    causal_bundle: Path, tune_tiny: Tune, tmp_path: Path, options: dict, what: str
) -> None:
    with pytest.raises(SeedTuneError, match=what):
        tune_tiny(tmp_path / "run", bundle=causal_bundle, **options)


def test_a_bundle_without_a_gradient_graph_is_refused_by_name(tune_tiny: Tune, tmp_path: Path) -> None:
    with pytest.raises(SeedTuneError, match="no gradient graph") as caught:
        tune_tiny(tmp_path / "run", **GRADIENT)
    assert "scope all" in str(caught.value.value)
    assert "two-sided" in str(caught.value.remedy)


def test_a_bundle_whose_gradient_has_no_stages_is_refused_within_a_limit_only(
    causal_bundle: Path, tiny_data: SimpleNamespace, tune_tiny: Tune, tmp_path: Path
) -> None:
    earlier = Path(shutil.copytree(causal_bundle, tmp_path / "earlier"))
    plan = json.loads((earlier / "stages.json").read_text())
    del plan["graphs"]["gradient"], plan["memory"]["gradient"]
    raw = json.dumps(plan).encode()
    (earlier / "stages.json").write_bytes(raw)
    manifest = json.loads((earlier / "manifest.json").read_text())
    manifest["files"]["stages.json"] = {"size_bytes": len(raw), "sha256": hashlib.sha256(raw).hexdigest()}
    for name in [name for name in manifest["files"] if name.startswith("gradient.stage")]:
        del manifest["files"][name]
    (earlier / "manifest.json").write_text(json.dumps(manifest))
    assert tune_tiny(tmp_path / "run", bundle=earlier, steps=1, **GRADIENT).steps == 1
    with (
        pytest.raises(SeedTuneError, match="gradient graph has no stages") as caught,
        seedtune.open(earlier, memory_limit="400M") as model,
    ):
        list(model.tune(tiny_data.train, out=tmp_path / "limited", **GRADIENT))
    assert "export the bundle again" in str(caught.value.remedy)
    assert not (tmp_path / "limited" / "journal.bin").exists()
