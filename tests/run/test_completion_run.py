"""A completion task from export to evaluation, on the tiny model."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner

from seedtune.exporter.pipeline import export_bundle
from seedtune.runtime.bundle.reader import Bundle
from seedtune.runtime.cli.main import app
from seedtune.runtime.errors import SeedTuneError
from seedtune.runtime.telemetry.records import RunResult

pytestmark = pytest.mark.traced

TASK = """\
name = "opinion"
kind = "completion"
template = "Review: {text}\\nSentiment:"
response = " {opinion}"
max_tokens = 48
"""
WORDS = ("awful", "dull", "lovely", "great")


@pytest.fixture(scope="module")
def task_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The task."""
    path = tmp_path_factory.mktemp("completion") / "opinion.toml"
    path.write_text(TASK, encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def bundle(tiny_checkpoint: Path, task_file: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Compared with transformers on its way."""
    out = tmp_path_factory.mktemp("completion") / "bundle"
    manifest = export_bundle(str(tiny_checkpoint), str(task_file), out, targets="all", rank=4)
    assert manifest.check is not None
    return out


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The response follows from the prompt."""
    path = tmp_path_factory.mktemp("completion") / "rows.jsonl"
    rows = [
        {"text": f"a {word} film", "opinion": "negative" if index < 2 else "positive"}
        for index, word in enumerate(WORDS)
    ]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def test_tuning_makes_the_responses_more_likely(
    bundle: Path, data: Path, tune_tiny: Callable[..., RunResult], tmp_path: Path
) -> None:
    run = tmp_path / "run"
    result = tune_tiny(
        run, bundle=bundle, train=data, held_out=data, steps=60, batch_size=4, learning_rate=0.05, eval_every=60
    )
    assert result.loss_start is not None
    assert result.loss_end is not None
    assert result.loss_end < 0.8 * result.loss_start
    predictions = tmp_path / "predictions.jsonl"
    done = CliRunner().invoke(app, ["eval", str(run), "--data", str(data), "--predictions", str(predictions), "--json"])
    assert done.exit_code == 0, done.output
    found = [json.loads(line) for line in predictions.read_text("utf-8").splitlines()]
    assert len(found) == len(WORDS)
    assert all(0 <= row["token_accuracy"] <= 1 and row["loss"] >= 0 for row in found)
    assert CliRunner().invoke(app, ["report", str(run)]).exit_code == 0


def test_a_bundle_for_completion_has_no_label_words(bundle: Path) -> None:
    opened = Bundle.open(bundle)
    assert opened.manifest.language_model.label_word_ids == ()
    assert opened.manifest.language_model.scope == "suffix"
    assert opened.compiled_task().encode({"text": "a film", "opinion": "good"}).targets is not None


def test_a_row_without_a_response_is_refused(bundle: Path, tune_tiny: Callable[..., RunResult], tmp_path: Path) -> None:
    data = tmp_path / "rows.jsonl"
    data.write_text('{"text": "a film"}\n', encoding="utf-8")
    with pytest.raises(SeedTuneError) as refused:
        tune_tiny(tmp_path / "run", bundle=bundle, train=data, held_out=None)
    assert "opinion" in str(refused.value)
    assert f"{data}:1" in str(refused.value)


def test_scope_all_and_masked_models_are_refused(
    tiny_checkpoint: Path, tiny_masked_checkpoint: Path, task_file: Path, tmp_path: Path
) -> None:
    with pytest.raises(SeedTuneError, match="responses only"):
        export_bundle(str(tiny_checkpoint), str(task_file), tmp_path / "a", scope="all")
    with pytest.raises(SeedTuneError, match="masked language model cannot"):
        export_bundle(str(tiny_masked_checkpoint), str(task_file), tmp_path / "b")


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"estimator": "gauss-newton"}, "--estimator gauss-newton"),
        ({"objective": "accuracy"}, "--objective accuracy"),
        ({"objective": "f1"}, "--objective f1"),
    ],
)
def test_what_needs_scores_of_labels_is_refused_by_name(
    bundle: Path, data: Path, tune_tiny: Callable[..., RunResult], tmp_path: Path, options: dict[str, str], named: str
) -> None:
    with pytest.raises(SeedTuneError, match="no scores of labels") as caught:
        tune_tiny(tmp_path / "run", bundle=bundle, train=data, held_out=None, learning_rate=0.1, **options)
    assert named in str(caught.value)
    assert "a completion task has no labels" in str(caught.value)


def test_one_sided_steps_make_the_responses_more_likely_as_well(
    bundle: Path, data: Path, tune_tiny: Callable[..., RunResult], tmp_path: Path
) -> None:
    options = {"estimator": "one-sided", "steps": 40, "batch_size": 4, "learning_rate": 0.05, "eval_every": 40}
    result = tune_tiny(tmp_path / "run", bundle=bundle, train=data, held_out=data, **options)
    assert result.loss_start is not None
    assert result.loss_end is not None
    assert result.loss_end < result.loss_start - 0.1
