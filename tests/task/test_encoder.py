"""Rows become the ids that the tokenizer itself gives, whatever special tokens a row's text spells."""

from __future__ import annotations

import pytest
from tokenizers import Tokenizer

from seedtune.runtime.errors import SeedTuneError
from seedtune.runtime.task.compile import CompiledTask
from seedtune.runtime.task.definition import Label, Task, load_task

SENTIMENT = load_task("sentiment")


def causal(tokenizer: Tokenizer, task: Task = SENTIMENT) -> CompiledTask:
    return CompiledTask(task.for_family("causal"), tokenizer, "causal", None, "<unk>", 512, vocabulary_size=10**6)


def masked(tokenizer: Tokenizer, mask: str = "<mask>", task: Task = SENTIMENT) -> CompiledTask:
    unknown = "<unk>" if mask == "<mask>" else "[UNK]"
    return CompiledTask(task.for_family("masked"), tokenizer, "masked", mask, unknown, 512, vocabulary_size=10**6)


def custom(template: str, *words: str, max_tokens: int = 128) -> Task:
    labels = tuple(Label(str(index), word) for index, word in enumerate(words))
    return Task("custom", "classification", template, labels, max_tokens=max_tokens)


def test_special_token_of_the_template_stays_special(causal_tokenizer: Tokenizer) -> None:
    task = custom("<s>{text}</s>\nSentiment:", " negative", " positive")
    encoded = causal(causal_tokenizer, task).encode({"text": "a film"})
    assert encoded.ids.tolist() == causal_tokenizer.encode("<s>a film</s>\nSentiment:").ids


def test_reserved_character_and_missing_field_are_refused(causal_tokenizer: Tokenizer) -> None:
    compiled = causal(causal_tokenizer)
    with pytest.raises(SeedTuneError, match="reserved character"):
        compiled.encode({"text": "\U000f5eed3\U000f5eed"})
    with pytest.raises(SeedTuneError, match="no field 'text'"):
        compiled.encode({"txt": "a"})


def test_row_without_tokens_is_refused(bert_tokenizer: Tokenizer) -> None:
    bare = Tokenizer.from_str(bert_tokenizer.to_str())
    task = custom("{text}", " great", " terrible")
    with pytest.raises(SeedTuneError, match="no tokens"):
        causal(bare, task).encode({"text": "\x01"})


def test_template_that_ends_in_a_space_is_named_as_the_cause(causal_tokenizer: Tokenizer) -> None:
    with pytest.raises(SeedTuneError, match="end the template without a space"):
        causal(causal_tokenizer, custom("{text}\nSentiment: ", "negative", "positive"))


def test_missing_or_written_out_mask_is_refused(roberta_tokenizer: Tokenizer) -> None:
    with pytest.raises(SeedTuneError, match="no mask token"):
        masked(roberta_tokenizer, "[MASK]")
    with pytest.raises(SeedTuneError, match="writes the mask token out"):
        masked(roberta_tokenizer, task=custom("{text} <mask> {mask}", " great", " terrible"))
