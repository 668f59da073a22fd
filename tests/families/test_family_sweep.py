"""The sweep over all architectures of transformers: how it shrinks, keeps and shows; and, slowly, the sweep itself."""

from pathlib import Path

import pytest
import torch
import transformers

from families import odd_ones, sweep, tiny
from families.architectures import Architecture, architectures
from families.checkpoints import save
from families.outcomes import DEFECTS, Outcome, append, defects, read
from families.page import page
from families.texts import MAX_TOKENS, VOCABULARY, rows, tokenizer
from families.trial import try_architecture
from seedtune.runtime.task.structure import Scope

pytestmark = pytest.mark.traced

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "families.md"
LLAMA = Architecture("causal", "llama", "LlamaForCausalLM")
SCOPES: tuple[Scope, ...] = ("suffix", "all")
T5 = Architecture("masked", "bart", "BartForConditionalGeneration")


def named(key: str) -> Architecture:
    return next(one for one in architectures() if one.key == key)


def test_every_architecture_has_a_key_of_its_own() -> None:
    every = architectures()
    assert len({one.key for one in every}) == len(every) > 200
    assert {LLAMA, named("masked:bert"), named("causal:bert")} <= set(every)


@pytest.mark.parametrize("key", ["causal:llama", "causal:gpt2", "causal:mpt", "masked:bert", "masked:distilbert"])
def test_a_configuration_is_shrunk_by_the_names_of_its_sizes(key: str) -> None:
    architecture = named(key)
    config = tiny.tiny_config(architecture, 30)
    with torch.device("meta"):
        model = getattr(transformers, architecture.name)(config)
    assert sum(parameter.numel() for parameter in model.parameters()) < 200_000
    assert (config.vocab_size, config.hidden_size, config.num_hidden_layers) == (VOCABULARY, 32, 2)
    assert config.architectures == [architecture.name]


def test_changes_name_architectures_that_there_are() -> None:
    every = architectures()
    assert odd_ones.CHANGES.keys() <= {name for one in every for name in (one.key, one.model_type)}


def test_rows_reach_the_limit_of_the_task_and_words_are_tokens() -> None:
    made = tokenizer(masked=True)
    lengths = [len(made(row["text"])["input_ids"]) for row in rows()]
    assert min(lengths) < 8
    assert MAX_TOKENS - 20 < max(lengths) <= MAX_TOKENS - 4
    assert len(made) <= VOCABULARY
    for word in (" negative", " positive"):
        assert len(made(word, add_special_tokens=False)["input_ids"]) == 1


def test_a_family_is_right_in_both_scopes(tmp_path: Path) -> None:
    outcome = try_architecture(LLAMA, tmp_path, SCOPES, ("fp32",))
    assert (outcome.verdict, outcome.reason, outcome.refusals) == ("right", "", {})
    assert outcome.differences.keys() == {"suffix fp32", "all fp32"}
    assert max(outcome.differences.values()) < 1e-4


def test_a_refusal_is_told_with_its_reason(tmp_path: Path) -> None:
    outcome = try_architecture(T5, tmp_path, SCOPES, ("fp32",))
    assert outcome.verdict == "refused"
    assert "encoder-decoder" in outcome.reason


def test_a_bundle_that_differs_is_wrong(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from families import oracle

    right = oracle.scores
    monkeypatch.setattr(oracle, "scores", lambda *rest: right(*rest) + 2e-3)
    outcome = try_architecture(LLAMA, tmp_path, SCOPES, ("fp32",))
    assert outcome.verdict == "wrong"
    assert "nats from transformers alone" in outcome.reason


def test_a_small_model_is_saved_with_random_biases(tmp_path: Path) -> None:
    architecture = named("masked:bert")
    folder = save(architecture, tiny.tiny_config(architecture, 30), tmp_path / "model")
    model = transformers.BertForMaskedLM.from_pretrained(folder)
    assert all(parameter.std() > 0 for parameter in model.parameters())


def dies(architecture: Architecture, _folder: Path, _scopes: object, _storages: object) -> Outcome:
    import os
    import time

    if architecture.model_type == "dies":
        os._exit(7)
    if architecture.model_type == "hangs":
        time.sleep(60)
    return Outcome(architecture.key, architecture.name)


def test_a_process_that_dies_or_hangs_is_a_crash_and_the_others_go_on() -> None:
    every = [Architecture("causal", name, name) for name in ("dies", "lives", "hangs", "also lives")]
    found = {outcome.name: outcome for outcome in sweep.sweep(every, SCOPES, ("fp32",), 2, 1.5, dies)}
    assert {name: outcome.verdict for name, outcome in found.items()} == {
        "dies": "crash", "hangs": "crash", "lives": "right", "also lives": "right",
    }  # fmt: skip
    assert "code 7" in found["dies"].reason
    assert "no end after" in found["hangs"].reason


def test_outcomes_are_kept_and_the_last_of_a_key_counts(tmp_path: Path) -> None:
    file = tmp_path / "kept" / "outcomes.jsonl"
    assert read(file) == {}
    first, second = Outcome("causal:a", "A", "crash", "x"), Outcome("masked:b", "B", differences={"all fp32": 1e-6})
    for outcome in (first, second):
        append(file, outcome)
    assert read(file) == {"causal:a": first, "masked:b": second}
    assert defects(read(file).values()) == [first]
    append(file, Outcome("causal:a", "A"))
    assert defects(read(file).values()) == []


def test_a_page_shows_every_outcome_once() -> None:
    outcomes = [
        Outcome("causal:a", "A", differences={"all fp32": 1e-6, "suffix fp32": 2e-6}),
        Outcome("masked:b", "B", "refused", "it has a | pipe <and> more"),
    ]
    text = page(outcomes, {"torch": "9.9"}, 60)
    assert "| a, causal | A | 2e-06 | 1e-06 |  |" in text
    assert "| b, masked | B | it has a / pipe &lt;and&gt; more |" in text
    assert "torch 9.9. 1 right, 1 refused." in text


def test_the_page_has_every_architecture_of_the_versions_in_its_head() -> None:
    text = PAGE.read_text("utf-8")
    if f"transformers {transformers.__version__}" not in text:
        pytest.skip("made with another version of transformers")
    missing = [one.key for one in architectures() if f"| {one.model_type}, {one.family} | {one.name} |" not in text]
    assert not missing
    assert "## Wrong" not in text
    assert "## Crashes" not in text


@pytest.mark.slow
@pytest.mark.parametrize("key", [one.key for one in architectures()])
def test_an_architecture_is_right_or_refused(key: str) -> None:
    (outcome,) = sweep.sweep([named(key)], SCOPES, ("fp32",), 1, 280)
    assert outcome.verdict not in DEFECTS, outcome.reason
