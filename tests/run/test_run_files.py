"""A run is determined by seed, bundle and data; its files agree with each other and rebuild its states."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from run_lab import Tune, journal_bytes, lines

from seedtune.runtime.bundle.reader import Bundle
from seedtune.runtime.errors import SeedTuneError
from seedtune.runtime.graphs.mapped import MappedGraphs
from seedtune.runtime.graphs.session import open_session
from seedtune.runtime.graphs.state import State
from seedtune.runtime.journal.file import read_journal
from seedtune.runtime.model.evaluation import evaluate
from seedtune.runtime.model.feeders import open_feeder
from seedtune.runtime.model.splits import load_split
from seedtune.runtime.model.tuned import open_tuned
from seedtune.runtime.noise import derive_seed, rademacher


def test_two_runs_are_the_same_bits(whole: SimpleNamespace, tune_tiny: Tune, tmp_path: Path) -> None:
    again = tune_tiny(tmp_path / "again")
    assert journal_bytes(tmp_path / "again") == journal_bytes(whole.path)
    assert again.state_sha256 == whole.result.state_sha256


def test_another_seed_is_another_run(whole: SimpleNamespace, tune_tiny: Tune, tmp_path: Path) -> None:
    assert tune_tiny(tmp_path / "other", seed=6).state_sha256 != whole.result.state_sha256


def test_every_file_of_a_run_is_there_and_agrees(whole: SimpleNamespace) -> None:
    steps, evaluations = lines(whole.path / "steps.jsonl"), lines(whole.path / "evaluations.jsonl")
    assert [step["step"] for step in steps] == list(range(1, 9))
    assert [record["step"] for record in evaluations] == [0, 3, 6, 8]
    journal = read_journal(whole.path / "journal.bin")
    assert journal.steps == 8
    for step, record in zip(steps, journal.records, strict=True):
        assert np.float32(step["coefficient"]) == record["coefficient"]
        assert np.float32(step["loss_plus"]) == record["loss_plus"]
    result = json.loads((whole.path / "result.json").read_text())
    assert result["steps"] == 8
    assert result["interrupted"] is False
    assert (result["loss_start"], result["loss_end"]) == (evaluations[0]["loss"], evaluations[-1]["loss"])
    for name in ("predictions_start.jsonl", "predictions_best.jsonl"):
        assert len(lines(whole.path / name)) == 24


def test_predictions_start_are_those_of_the_untouched_model_and_best_those_of_the_best(
    whole: SimpleNamespace,
) -> None:
    evaluations = lines(whole.path / "evaluations.jsonl")
    best = min(evaluations, key=lambda record: record["loss"])
    for name, record in (("start", evaluations[0]), ("best", best)):
        rows = lines(whole.path / f"predictions_{name}.jsonl")
        assert np.mean([row["prediction"] == row["label"] for row in rows]) == pytest.approx(record["accuracy"])
        assert np.mean([row["loss"] for row in rows]) == pytest.approx(record["loss"], rel=1e-6)


def test_the_journal_alone_reproduces_the_state(whole: SimpleNamespace, tiny_bundle: Path) -> None:
    """By hand, in numpy: float32 additions of float32 products, in order."""
    journal = read_journal(whole.path / "journal.bin")
    bundle = Bundle.open(tiny_bundle)
    state = State(open_session(bundle.graph_path("update"), 1), bundle.manifest.state.parameters)
    state.apply(journal.seeds(), journal.records["coefficient"])
    assert state.sha256() == whole.result.state_sha256
    by_hand = np.zeros(journal.header.state_parameters, np.float32)
    for step, record in enumerate(journal.records):
        by_hand = by_hand + record["coefficient"] * rademacher(derive_seed(5, "probe", step), len(by_hand))
    assert by_hand.dtype == np.float32
    assert np.array_equal(by_hand, state.values)


def test_the_best_step_has_the_lowest_held_out_loss_and_open_tuned_replays_it(
    tune_tiny: Tune, tmp_path: Path, tiny_bundle: Path, tiny_data: SimpleNamespace
) -> None:
    # A rate so high that the loss goes up and down.
    result = tune_tiny(tmp_path / "run", steps=12, eval_every=1, learning_rate=0.2, schedule="constant")
    evaluations = lines(tmp_path / "run" / "evaluations.jsonl")
    best = min(evaluations, key=lambda record: (record["loss"], record["step"]))
    assert result.best_step == best["step"]
    assert 0 < best["step"] < 12, "the case is no test: choose another rate"
    tuned = open_tuned(tmp_path / "run")
    assert tuned.step == best["step"]
    journal = read_journal(tmp_path / "run" / "journal.bin")
    bundle = Bundle.open(tiny_bundle)
    by_hand = State(open_session(bundle.graph_path("update"), 1), bundle.manifest.state.parameters)
    for seed, record in list(zip(journal.seeds(), journal.records, strict=True))[: best["step"]]:
        by_hand.apply([seed], [record["coefficient"]])
    assert np.array_equal(tuned.state.values, by_hand.values)
    split = load_split(tiny_data.eval, bundle.compiled_task())
    found = evaluate(
        MappedGraphs(bundle, 1), tuned.state.values, open_feeder(MappedGraphs(bundle), split.examples), rows=1024
    )
    assert found.loss == pytest.approx(best["loss"], rel=1e-6)
    assert open_tuned(tmp_path / "run", step=12).state.sha256() == result.state_sha256
    assert not open_tuned(tmp_path / "run", step=0).state.values.any()


@pytest.mark.parametrize("step", [-1, 9, 10**9])
def test_a_step_that_the_run_does_not_have_is_refused(whole: SimpleNamespace, step: int) -> None:
    with pytest.raises(SeedTuneError, match="no such step"):
        open_tuned(whole.path, step=step)


def test_a_moved_bundle_can_be_pointed_to(whole: SimpleNamespace, tiny_bundle: Path, tmp_path: Path) -> None:
    moved = Path(shutil.copytree(tiny_bundle, tmp_path / "moved"))
    description = (whole.path / "run.json").read_text()
    (whole.path / "run.json").write_text(description.replace(str(tiny_bundle.resolve()), "/nowhere/bundle"))
    with pytest.raises(SeedTuneError, match="--bundle"):
        open_tuned(whole.path)
    assert open_tuned(whole.path, bundle=moved, step=8).state.sha256() == whole.result.state_sha256


def test_what_is_neither_bundle_nor_run_is_refused(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "gone"):
        with pytest.raises(SeedTuneError, match="neither a bundle nor a run"):
            open_tuned(path)
