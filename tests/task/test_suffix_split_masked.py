"""Masked rows split into context and suffix: the mask is in the suffix wherever the template has it."""

from __future__ import annotations

import numpy as np
import pytest
from tokenizers import AddedToken, Tokenizer, models, pre_tokenizers, processors

from seedtune.runtime.errors import SeedTuneError
from seedtune.runtime.task.compile import CompiledTask
from seedtune.runtime.task.definition import parse_task
from seedtune.runtime.task.example import Example

SPECIALS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
WORDS = ["a", "good", "film", "It", "was", "terrible", "great", ".", "topic", ":", "fine"]
CLS, SEP, MASK = 2, 3, 4


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:
    """Whole words between ``[CLS]`` and ``[SEP]``."""
    vocabulary = {token: index for index, token in enumerate(SPECIALS + WORDS)}
    made = Tokenizer(models.WordLevel(vocabulary, unk_token="[UNK]"))
    made.pre_tokenizer = pre_tokenizers.Whitespace()
    made.add_special_tokens([*SPECIALS[:4], AddedToken("[MASK]", lstrip=True, special=True)])
    made.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", CLS), ("[SEP]", SEP)]
    )
    return made


def compiled(tokenizer: Tokenizer, template: str, max_tokens: int = 64) -> CompiledTask:
    task = f"""
    name = "t"
    kind = "classification"
    template = "{template}"
    max_tokens = {max_tokens}
    labels = [{{ value = "0", word = "terrible" }}, {{ value = "1", word = "great" }}]
    """
    return CompiledTask(
        parse_task(task, "test"), tokenizer, "masked", "[MASK]", "[UNK]", 100, "suffix", vocabulary_size=10**6
    )


# Template -> the words of the row, those of the suffix in angle brackets; the end token always is one of them.
PLACES = {
    "{text} It was {mask}.": "[CLS] good film <It> <was> <[MASK]> <.> <[SEP]>",
    "{text} {mask}": "[CLS] good film <[MASK]> <[SEP]>",
    "topic: {mask}. {text}": "[CLS] topic : <[MASK]> . good film <[SEP]>",
    "{mask}: {text}": "[CLS] <[MASK]> : good film <[SEP]>",
    "{text} {mask} {text}.": "[CLS] good film <[MASK]> good film <.> <[SEP]>",
    "{mask}. {text} It was": "[CLS] <[MASK]> . good film <It> <was> <[SEP]>",
}


def suffix_of(encoded: Example) -> np.ndarray:
    """Its places."""
    assert encoded.suffix is not None
    return encoded.suffix


@pytest.mark.parametrize("template", PLACES)
def test_the_suffix_is_the_mask_and_what_follows_the_last_field(tokenizer: Tokenizer, template: str) -> None:
    encoded = compiled(tokenizer, template).encode({"text": "good film"})
    words = PLACES[template].split()
    assert encoded.ids.tolist() == [tokenizer.token_to_id(word.strip("<>")) for word in words]
    assert suffix_of(encoded).tolist() == [place for place, word in enumerate(words) if word.startswith("<")]
    assert suffix_of(encoded).dtype == np.int64
    assert encoded.ids[encoded.position] == MASK
    assert encoded.position in suffix_of(encoded)


@pytest.mark.parametrize("template", PLACES)
def test_a_truncated_row_keeps_its_suffix(tokenizer: Tokenizer, template: str) -> None:
    limit = 12
    encoded = compiled(tokenizer, template, limit).encode({"text": "good film " * 20})
    short = compiled(tokenizer, template).encode({"text": "good"})
    assert len(encoded.ids) <= limit
    assert encoded.truncated_tokens > 0
    assert encoded.ids[encoded.suffix].tolist() == short.ids[short.suffix].tolist()
    assert encoded.ids[encoded.position] == MASK


@pytest.mark.parametrize("template", ["{text} It was {mask}.", "{text} {mask}", "{mask}: {text}"])
def test_an_empty_text_still_gives_the_right_row(tokenizer: Tokenizer, template: str) -> None:
    encoded = compiled(tokenizer, template).encode({"text": ""})
    shown = template.replace("{text}", "").replace("{mask}", "[MASK]")
    assert encoded.ids.tolist() == tokenizer.encode(shown).ids
    assert encoded.ids[encoded.position] == MASK
    assert {encoded.position, len(encoded.ids) - 1} <= set(suffix_of(encoded).tolist())
    assert suffix_of(encoded).tolist() == sorted(set(suffix_of(encoded).tolist()))


def test_masks_in_a_text_are_text_and_stay_in_the_context(tokenizer: Tokenizer) -> None:
    encoded = compiled(tokenizer, "{text} It was {mask}.").encode({"text": "good [MASK] film"})
    assert encoded.ids.tolist().count(MASK) == 1
    assert suffix_of(encoded).tolist() == list(range(len(encoded.ids) - 5, len(encoded.ids)))


def test_a_template_with_a_mask_always_has_a_suffix(tokenizer: Tokenizer) -> None:
    assert compiled(tokenizer, "{mask} {text}").scope == "suffix"
    with pytest.raises(SeedTuneError, match="masked language model"):
        compiled(tokenizer, "{text}")
