"""Rows become the ids that the tokenizer itself gives, whatever special tokens a row's text spells."""

from __future__ import annotations

import random

import pytest
from tokenizers import Tokenizer

from seedtune.runtime.errors import SeedTuneError
from seedtune.runtime.task.compile import CompiledTask
from seedtune.runtime.task.definition import Label, Task, load_task

SENTIMENT = load_task("sentiment")


def causal(tokenizer: Tokenizer, task: Task = SENTIMENT) -> CompiledTask:
    return CompiledTask(task.for_family("causal"), tokenizer, "causal", None, "<unk>", 512)


def masked(tokenizer: Tokenizer, mask: str = "<mask>", task: Task = SENTIMENT) -> CompiledTask:
    unknown = "<unk>" if mask == "<mask>" else "[UNK]"
    return CompiledTask(task.for_family("masked"), tokenizer, "masked", mask, unknown, 512)


def custom(template: str, *words: str, max_tokens: int = 128) -> Task:
    labels = tuple(Label(str(index), word) for index, word in enumerate(words))
    return Task("custom", "classification", template, labels, max_tokens=max_tokens)


def test_causal_ids_are_the_tokenizers_own(causal_tokenizer: Tokenizer) -> None:
    generator = random.Random(3)
    compiled = causal(causal_tokenizer)
    for _ in range(50):
        text = "".join(generator.choices("ab film\n negative é😀{}", k=generator.randint(1, 40)))
        oracle = causal_tokenizer.encode(f"Review: {text}\nSentiment:").ids
        encoded = compiled.encode({"text": text})
        assert encoded.ids.tolist() == oracle
        assert (encoded.position, encoded.truncated_tokens) == (len(oracle) - 1, 0)


def test_end_of_text_token_is_dropped_behind_a_causal_template(roberta_tokenizer: Tokenizer) -> None:
    encoded = causal(roberta_tokenizer).encode({"text": "a film"})
    assert encoded.ids.tolist() == roberta_tokenizer.encode("Review: a film\nSentiment:").ids[:-1]
    assert encoded.position == len(encoded.ids) - 1


def test_masked_ids_are_the_tokenizers_own(roberta_tokenizer: Tokenizer, bert_tokenizer: Tokenizer) -> None:
    for tokenizer, mask in ((roberta_tokenizer, "<mask>"), (bert_tokenizer, "[MASK]")):
        encoded = masked(tokenizer, mask).encode({"text": "a fine film"})
        assert encoded.ids.tolist() == tokenizer.encode(f"a fine film It was {mask}.").ids
        assert encoded.ids[encoded.position] == tokenizer.token_to_id(mask)


@pytest.mark.parametrize("text", ["<mask>", "a <mask> film <mask>", "</s><s> <unk>"])
def test_special_token_in_a_row_is_plain_text(roberta_tokenizer: Tokenizer, text: str) -> None:
    special = {0, 1, 2, roberta_tokenizer.token_to_id("<mask>")}
    encoded = masked(roberta_tokenizer).encode({"text": text})
    at = [place for place, index in enumerate(encoded.ids.tolist()) if index in special]
    assert at == [0, encoded.position, len(encoded.ids) - 1]
    assert causal(roberta_tokenizer).encode({"text": text}).ids.tolist().count(0) == 1


def test_mask_text_in_a_bert_row_is_not_the_mask(bert_tokenizer: Tokenizer) -> None:
    encoded = masked(bert_tokenizer, "[MASK]").encode({"text": "a [MASK] film"})
    tokens = [bert_tokenizer.id_to_token(index) for index in encoded.ids]
    assert tokens == ["[CLS]", "a", "[", "mask", "]", "film", "it", "was", "[MASK]", ".", "[SEP]"]
    assert tokens[encoded.position] == "[MASK]"


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


@pytest.mark.parametrize("text", ["film " * 300, "😀" * 200, "x" * 500, "é 😀 film\n" * 60])
def test_long_row_keeps_the_template_and_a_prefix_of_the_field(causal_tokenizer: Tokenizer, text: str) -> None:
    task = custom("Review: {text}\nSentiment:", " negative", " positive", max_tokens=24)
    encoded = causal(causal_tokenizer, task).encode({"text": text})
    whole = causal_tokenizer.encode(f"Review: {text}\nSentiment:").ids
    # At most one character (four bytes) and the space before it are lost beyond what had to go.
    assert 24 - 5 <= len(encoded.ids) <= 24
    assert encoded.truncated_tokens == len(whole) - len(encoded.ids)

    prefixes = {tuple(causal_tokenizer.encode(f"Review: {text[:end]}\nSentiment:").ids) for end in range(150)}
    assert tuple(encoded.ids.tolist()) in prefixes


def test_row_too_long_without_its_field_is_refused(causal_tokenizer: Tokenizer) -> None:
    task = custom("Review: {text}\nSentiment:", " negative", " positive", max_tokens=3)
    with pytest.raises(SeedTuneError, match="too long even without its field 'text'"):
        causal(causal_tokenizer, task).encode({"text": "a film"})


def test_row_without_tokens_is_refused(bert_tokenizer: Tokenizer) -> None:
    bare = Tokenizer.from_str(bert_tokenizer.to_str())
    task = custom("{text}", " great", " terrible")
    with pytest.raises(SeedTuneError, match="no tokens"):
        causal(bare, task).encode({"text": "\x01"})


def test_truncation_and_padding_of_the_given_tokenizer_are_ignored_and_kept(causal_tokenizer: Tokenizer) -> None:
    tokenizer = Tokenizer.from_str(causal_tokenizer.to_str())
    tokenizer.enable_truncation(4)
    tokenizer.enable_padding(length=64)
    before = tokenizer.to_str()
    compiled = causal(tokenizer)
    assert compiled.encode({"text": "a film"}).ids.tolist() == causal_tokenizer.encode("Review: a film\nSentiment:").ids
    assert tokenizer.to_str() == before
    assert tokenizer.encode_special_tokens is False


def test_label_word_ids(causal_tokenizer: Tokenizer, bert_tokenizer: Tokenizer) -> None:
    expected = tuple(causal_tokenizer.token_to_id(token) for token in ("Ġnegative", "Ġpositive"))
    assert causal(causal_tokenizer).label_word_ids == expected
    assert masked(bert_tokenizer, "[MASK]").label_word_ids == (8, 7)


def test_label_word_of_two_tokens_shows_its_tokens(causal_tokenizer: Tokenizer) -> None:
    with pytest.raises(SeedTuneError) as caught:
        causal(causal_tokenizer, custom("{text}\nSentiment:", " negatived", " positive"))
    assert "'Ġnegative', 'd'" in str(caught.value)


def test_variant_with_leading_space_is_suggested(causal_tokenizer: Tokenizer) -> None:
    with pytest.raises(SeedTuneError, match="write ' negative', which is one token"):
        causal(causal_tokenizer, custom("{text}\nSentiment:", "negative", " positive"))


def test_template_that_ends_in_a_space_is_named_as_the_cause(causal_tokenizer: Tokenizer) -> None:
    with pytest.raises(SeedTuneError, match="end the template without a space"):
        causal(causal_tokenizer, custom("{text}\nSentiment: ", "negative", "positive"))


def test_unknown_and_shared_label_tokens_are_unreachable(bert_tokenizer: Tokenizer) -> None:
    for words, reason in (((" nowhere", " great"), "unknown token"), ((" Great", " great"), "same token")):
        with pytest.raises(SeedTuneError, match=rf"unreachable label.*{reason}"):
            masked(bert_tokenizer, "[MASK]", custom("{text} {mask}", *words))


def test_max_tokens_beyond_the_model_shows_both_numbers(causal_tokenizer: Tokenizer) -> None:
    with pytest.raises(SeedTuneError, match=r"(?s)128.*64"):
        CompiledTask(SENTIMENT.for_family("causal"), causal_tokenizer, "causal", None, None, 64)


def test_missing_or_written_out_mask_is_refused(roberta_tokenizer: Tokenizer) -> None:
    with pytest.raises(SeedTuneError, match="no mask token"):
        masked(roberta_tokenizer, "[MASK]")
    with pytest.raises(SeedTuneError, match="writes the mask token out"):
        masked(roberta_tokenizer, task=custom("{text} <mask> {mask}", " great", " terrible"))
