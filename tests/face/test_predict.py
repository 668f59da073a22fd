"""Asking: rows without labels give probabilities by label name, and labelled rows are evaluated as those of a file."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

import seedtune

COMPLETION = """\
name = "opinion"
kind = "completion"
template = "Review: {text}\\nSentiment:"
response = " {opinion}"
max_tokens = 48
"""


def test_probabilities_are_transformers_own_softmax_over_the_label_words(
    tiny_bundle: Path, tiny_checkpoint: Path, unlabelled: list[dict[str, str]]
) -> None:
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(tiny_checkpoint)
    reference = AutoModelForCausalLM.from_pretrained(tiny_checkpoint).eval()
    words = [tokenizer.encode(word, add_special_tokens=False) for word in (" negative", " positive")]
    assert [len(ids) for ids in words] == [1, 1]
    with seedtune.open(tiny_bundle) as model:
        found = model.predict(unlabelled)
    assert len(found) == len(unlabelled)
    for row, answer in zip(unlabelled, found, strict=True):
        ids = tokenizer(f"Review: {row['text']}\nSentiment:", return_tensors="pt")
        with torch.no_grad():
            scores = reference(**ids).logits[0, -1, [word[0] for word in words]]
        expected = torch.softmax(scores.double(), 0).tolist()
        assert list(answer) == ["negative", "positive"]
        assert list(answer.values()) == pytest.approx(expected, abs=1e-4)
        assert sum(answer.values()) == pytest.approx(1, abs=1e-6)
        assert all(type(value) is float for value in answer.values())
    # The rows must differ, or the comparison says little.
    assert np.ptp([answer["positive"] for answer in found]) > 0.05


def test_rows_may_come_one_by_one_and_in_any_order(tiny_bundle: Path, unlabelled: list[dict[str, str]]) -> None:
    with seedtune.open(tiny_bundle, threads=1) as model:
        together = model.predict(row for row in unlabelled)
        backwards = model.predict(unlabelled[::-1])[::-1]
        alone = [model.predict([row])[0] for row in unlabelled]
    for others in (backwards, alone):
        for found, expected in zip(others, together, strict=True):
            assert found == pytest.approx(expected, abs=1e-5)


def test_labels_and_other_columns_are_not_looked_at(tiny_bundle: Path, labelled: list[dict[str, str]]) -> None:
    rows = [{"text": row["text"], "label": None, "id": 7} for row in labelled]
    with seedtune.open(tiny_bundle, threads=1) as model:
        assert model.predict(rows) == model.predict(labelled)


@pytest.mark.parametrize(
    ("rows", "named"),
    [
        ([], "no rows"),
        ([{"text": "a film"}, {"txt": "a song"}], "row:2.*'text' is missing"),
        ([{"text": None}], "row:1.*null"),
        ([{"text": 5}], "not text"),
        ([{"text": " "}], "is empty"),
        ([{"text": "a\0b"}], "NUL"),
        ([{"text": "a film", "label": "maybe"}], "unknown label"),
    ],
)
def test_rows_that_cannot_be_used_are_refused_by_their_place(tiny_bundle: Path, rows: list, named: str) -> None:
    with seedtune.open(tiny_bundle) as model:
        with pytest.raises(seedtune.SeedTuneError, match=f"(?s){named}") as caught:
            model.predict(rows)
        assert caught.value.remedy
        assert len(model.predict([{"text": "a film"}])) == 1


def test_a_misspelt_field_is_guessed(tiny_bundle: Path) -> None:
    with seedtune.open(tiny_bundle) as model, pytest.raises(seedtune.SeedTuneError, match="did you mean to call 'txt'"):
        model.predict([{"txt": "a film"}])


@pytest.fixture(scope="module")
def completion_bundle(tiny_checkpoint: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bundle whose task is completion."""
    folder = tmp_path_factory.mktemp("completion")
    (folder / "opinion.toml").write_text(COMPLETION, encoding="utf-8")
    seedtune.export(tiny_checkpoint, task=folder / "opinion.toml", out=folder / "bundle", rank=4, check=False)
    return folder / "bundle"


def test_a_completion_task_has_nothing_to_predict_and_says_what_to_do(completion_bundle: Path) -> None:
    with seedtune.open(completion_bundle) as model:
        with pytest.raises(seedtune.SeedTuneError, match="no labels to predict") as caught:
            model.predict([{"text": "a film", "opinion": "good"}])
        assert "evaluate" in str(caught.value.remedy)
        found = model.evaluate([{"text": "a film", "opinion": "good"}, {"text": "a song", "opinion": "bad"}])
    assert found.probabilities is None
    assert found.predictions is None
    assert found.losses.shape == (2,)
    assert found.loss > 0


@pytest.mark.traced
@pytest.mark.parametrize("fixture", ["tiny_bundle", "suffix_bundle"])
def test_a_list_of_rows_is_evaluated_as_their_file(
    request: pytest.FixtureRequest, fixture: str, tiny_data: SimpleNamespace, labelled: list[dict[str, str]]
) -> None:
    with seedtune.open(request.getfixturevalue(fixture), threads=1) as model:
        of_list, of_file = model.evaluate(labelled), model.evaluate(str(tiny_data.eval))
    for name in ("losses", "scores", "labels", "probabilities"):
        np.testing.assert_array_equal(getattr(of_list, name), getattr(of_file, name))
    assert isinstance(of_list, seedtune.Evaluation)


def test_an_evaluation_is_what_the_predictions_say(tiny_bundle: Path, labelled: list[dict[str, str]]) -> None:
    with seedtune.open(tiny_bundle, threads=1) as model:
        evaluation, answers = model.evaluate(labelled), model.predict(labelled)
    labels = [int(row["label"]) for row in labelled]
    positive = np.array([answer["positive"] for answer in answers])
    assert evaluation.labels.tolist() == labels
    assert evaluation.predictions is not None
    assert evaluation.probabilities is not None
    assert evaluation.predictions.tolist() == (positive > 0.5).astype(int).tolist()
    assert evaluation.accuracy == np.mean((positive > 0.5) == np.array(labels))
    right = np.where(labels, positive, 1 - positive)
    assert evaluation.loss == pytest.approx(-np.log(right).mean(), rel=1e-4)
    np.testing.assert_allclose(evaluation.probabilities[:, 1], positive, atol=1e-6)


@pytest.mark.parametrize(
    ("data", "named"),
    [([{"text": "a film"}], "'label' is missing"), ([], "no rows"), ("gone.jsonl", "no such data file")],
)
def test_an_evaluation_needs_labels(tiny_bundle: Path, data: list | str, named: str) -> None:
    with seedtune.open(tiny_bundle) as model, pytest.raises(seedtune.SeedTuneError, match=named):
        model.evaluate(data)


def test_an_evaluation_tells_how_far_it_is(
    tiny_bundle: Path, labelled: list[dict[str, str]], tiny_data: SimpleNamespace
) -> None:
    told: list[seedtune.events.Event] = []
    with seedtune.open(tiny_bundle, threads=1) as model:
        model.evaluate(tiny_data.eval, rows_per_call=40, on=told.append)
    evaluating = [event for event in told if isinstance(event, seedtune.events.Evaluating)]
    assert evaluating == told
    done = [event.done for event in evaluating]
    assert done == sorted(done)
    assert (done[0], done[-1]) == (0, len(labelled))
    assert len(done) > 3


def test_a_run_answers_as_its_predictions_say(whole: SimpleNamespace, unlabelled: list[dict[str, str]]) -> None:
    """Of the held-out rows at the best step, which the run wrote down itself."""
    lines = (whole.path / "predictions_best.jsonl").read_text("utf-8").splitlines()
    with seedtune.open(whole.path, threads=1) as model:
        found = model.predict(unlabelled)
    for line, answer in zip(lines, found, strict=True):
        assert list(answer.values()) == pytest.approx(json.loads(line)["probabilities"], abs=1e-6)
