"""Runs of heads: the same loop, journal, resumption and replay as of a language model."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from heads_lab import digits
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import accuracy_score, f1_score

import seedtune
from seedtune.events import Planned, RunResult, Step
from seedtune.runtime.batches.types import Integers
from seedtune.runtime.bundle.reader import Bundle
from seedtune.runtime.graphs.mapped import MappedGraphs
from seedtune.runtime.heads.linear_evaluation import linear_evaluation
from seedtune.runtime.heads.rows import open_rows
from seedtune.runtime.model.head_evaluation import ContrastiveExam, exam_of, score_of
from seedtune.runtime.model.replaying import open_recorded
from seedtune.runtime.telemetry.features import FeatureResult

Tune = Callable[..., RunResult]


def embeddings(bundle: Bundle, state: np.ndarray, places: Integers) -> np.ndarray:
    """Of the rows at ``places``, by one thread."""
    exam = exam_of(open_rows(bundle))
    assert isinstance(exam, ContrastiveExam)
    return exam.embeddings(MappedGraphs(bundle, 1).open("eval"), state, places)


@pytest.mark.parametrize("objective", ["contrastive", "heads"])
def test_the_same_seed_gives_the_same_journal_and_another_seed_another(
    heads_bundle: Callable[..., Path], tune_heads: Tune, tmp_path: Path, objective: str
) -> None:
    bundle = heads_bundle(objective)
    results = [tune_heads(bundle, tmp_path / name, seed=seed) for name, seed in (("a", 3), ("b", 3), ("c", 4))]
    journals = [(tmp_path / name / "journal.bin").read_bytes() for name in "abc"]
    assert journals[0] == journals[1] != journals[2]
    assert results[0].state_sha256 == results[1].state_sha256 != results[2].state_sha256


@pytest.mark.parametrize("objective", ["contrastive", "heads"])
def test_a_run_that_was_stopped_goes_on_to_the_byte(
    heads_bundle: Callable[..., Path], tune_heads: Tune, tmp_path: Path, objective: str
) -> None:
    bundle = heads_bundle(objective)
    whole = tune_heads(bundle, tmp_path / "whole", optimizer="momentum")
    with seedtune.open(bundle, threads=1) as model:
        tuning = model.tune(
            out=tmp_path / "parts",
            steps=12,
            batch_size=16,
            eval_every=6,
            seed=3,
            learning_rate=5e-3,
            optimizer="momentum",
        )
        for event in tuning:
            if isinstance(event, Step) and event.record.step == 5:
                tuning.stop()
    assert tuning.result.steps == 5
    resumed = tune_heads(bundle, tmp_path / "parts", resume=True)
    assert resumed.state_sha256 == whole.state_sha256
    assert (tmp_path / "parts" / "journal.bin").read_bytes() == (tmp_path / "whole" / "journal.bin").read_bytes()
    told = [json.loads((tmp_path / name / "features.json").read_bytes()) for name in ("whole", "parts")]
    assert told[0] == told[1]


def test_a_replayed_journal_gives_every_embedding_again_to_the_bit(
    heads_bundle: Callable[..., Path], tune_heads: Tune, tmp_path: Path
) -> None:
    bundle, run = Bundle.open(heads_bundle("contrastive")), tmp_path / "run"
    result = tune_heads(bundle.path, run)
    (tmp_path / "alone").mkdir()
    journal = tmp_path / "alone" / "journal.bin"
    journal.write_bytes((run / "journal.bin").read_bytes())
    replayed = open_recorded(journal, bundle.path).state
    assert replayed.sha256() == result.state_sha256
    with seedtune.open(run, step=12, threads=1) as tuned:
        state = tuned.state.values
    places = np.arange(600)
    assert embeddings(bundle, state, places).tobytes() == embeddings(bundle, replayed.values, places).tobytes()
    assert embeddings(bundle, state, places).tobytes() != embeddings(bundle, np.zeros_like(state), places).tobytes()


def test_a_run_lowers_its_loss_and_tells_how_good_it_is_before_and_after(
    heads_bundle: Callable[..., Path], tune_heads: Tune, tmp_path: Path
) -> None:
    result = tune_heads(heads_bundle("heads"), tmp_path / "run", steps=150, eval_every=50, learning_rate=3e-2)
    assert result.loss_start is not None
    assert result.loss_end is not None
    assert result.loss_end < 0.9 * result.loss_start
    told = result.features
    assert isinstance(told, FeatureResult)
    assert told.step == result.best_step
    robust, non_robust, joint = told.after.heads
    assert (robust.head, non_robust.head, joint.head) == ("robust", "non-robust", "joint")
    assert joint.natural == told.after.test.accuracy  # type: ignore[union-attr]
    # The attack of these features leads the non-robust ones to its target, and leaves the robust ones.
    assert robust.adversarial > 0.7 > 0.4 > non_robust.adversarial  # type: ignore[operator]
    assert non_robust.target > 0.6  # type: ignore[operator]
    with seedtune.open(tmp_path / "run", threads=1) as model:
        assert model.evaluate().quality == told.after
    with seedtune.open(heads_bundle("heads"), threads=1) as untouched:
        assert untouched.evaluate().quality == told.before


def test_linear_evaluation_finds_what_a_logistic_regression_of_scikit_learn_finds(
    heads_bundle: Callable[..., Path],
) -> None:
    bundle, labels = Bundle.open(heads_bundle("contrastive")), digits()["labels"]
    rows = open_rows(bundle)
    train, test = rows.split("train"), rows.split("test")
    features = digits()["features"]
    scores = linear_evaluation(features[train], labels[train], features[test], 10)
    np.testing.assert_allclose(np.exp(scores).sum(axis=1), 1, atol=1e-5)
    score = score_of(scores, labels[test])
    said = scores.argmax(axis=1)
    assert score.accuracy == pytest.approx(accuracy_score(labels[test], said))
    assert score.macro_f1 == pytest.approx(f1_score(labels[test], said, average="macro"))
    unit = features / np.linalg.norm(features, axis=1, keepdims=True)
    spread = unit[train].std(axis=0)
    unit = (unit - unit[train].mean(axis=0)) * np.where(spread > 1e-6, 1 / np.maximum(spread, 1e-6), 0)
    best = max(
        LogisticRegression(C=c, max_iter=2000).fit(unit[train], labels[train]).score(unit[test], labels[test])
        for c in (0.01, 0.1, 1)
    )
    assert score.accuracy > best - 0.03


def test_a_bundle_without_labels_learns_and_says_that_nothing_can_be_judged(
    tmp_path: Path, tune_heads: Tune, heads_bundle: Callable[..., Path]
) -> None:
    np.savez(tmp_path / "features.npz", features=digits(200)["features"])
    seedtune.export(tmp_path, objective="contrastive", out=tmp_path / "bundle", negatives=20, clusters=4)
    result = tune_heads(tmp_path / "bundle", tmp_path / "run")
    assert (result.best_step, result.features, result.steps) == (None, None, 12)
    with seedtune.open(tmp_path / "run") as model, pytest.raises(seedtune.SeedTuneError, match="nothing to evaluate"):
        model.evaluate()


def test_a_budget_chooses_settings_by_the_contrastive_loss(heads_bundle: Callable[..., Path], tmp_path: Path) -> None:
    with seedtune.open(heads_bundle("contrastive"), threads=1) as model:
        # Left where the trials end: what a budget leaves for the steps is the machine's affair.
        planned = next(event for event in model.tune(out=tmp_path / "run", budget=20) if isinstance(event, Planned))
    assert planned.expected.method == "two-sided"
    trials = json.loads((tmp_path / "run" / "trials.json").read_bytes())["trials"]
    assert max(trial["gain"] for trial in trials) > 0
