"""Rows to tokens: the tokenizer's own encoding, a template that is never cut, and text that stays text."""

from __future__ import annotations

import random
from collections.abc import Callable

import numpy as np
import pytest
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, processors

from seedtune.runtime.errors import SeedTuneError
from seedtune.runtime.task.compile import CompiledTask
from seedtune.runtime.task.definition import Task, parse_task

TEXTS = [
    "good film",
    "a",
    "größer 😀 文字",
    " edge ",
    "tab\tand\nline",
    "{braces} {text}",
    "''\"",
    "e\u0301",
    "👩‍👩‍👧‍👦 family",
]


WORDS = ["a", "bad", "good", "film", "Review", ":", "It", "was", "terrible", "great", ".", "something", "fine", "is"]


def byte_tokenizer(trailing_end: bool) -> Tokenizer:
    """Bytes as tokens but for two words; ``<s>`` before a text, and ``</s>`` after it if asked for."""
    specials = ["<s>", "</s>", "<unk>", "<pad>"]
    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    merges, made = [], []
    for word in ("\u0120good", "\u0120bad"):
        for end in range(1, len(word)):
            if word[: end + 1] not in made:
                merges.append((word[:end], word[end]))
                made.append(word[: end + 1])
    vocabulary = {token: index for index, token in enumerate(specials + letters + made)}
    tokenizer = Tokenizer(models.BPE(vocab=vocabulary, merges=merges, unk_token="<unk>"))
    tokenizer.add_special_tokens(specials)
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    template = "<s> $A </s>" if trailing_end else "<s> $A"
    pairs = [("<s>", 0), ("</s>", 1)] if trailing_end else [("<s>", 0)]
    tokenizer.post_processor = processors.TemplateProcessing(single=template, special_tokens=pairs)
    return tokenizer


@pytest.fixture(params=[False, True], ids=["bos", "bos_and_eos"])
def causal_tokenizer(request: pytest.FixtureRequest) -> Tokenizer:
    """A byte-level tokenizer, with and without an end token after the text."""
    return byte_tokenizer(request.param)


@pytest.fixture
def masked_tokenizer() -> Tokenizer:
    """Whole words, BERT's special tokens around a text, a mask that takes the space before it."""
    specials = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    vocabulary = {token: index for index, token in enumerate(specials + WORDS)}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.add_special_tokens([*specials[:4], AddedToken("[MASK]", lstrip=True, special=True)])
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    return tokenizer


def causal_task(
    max_tokens: int = 64, words: tuple[str, ...] = (" bad", " good"), template: str = "Q: {text}\\nA:"
) -> Task:
    labels = "\n".join(
        f'[[labels]]\nvalue = "{index}"\nname = "label {index}"\nword = "{word}"' for index, word in enumerate(words)
    )
    head = f'name = "t"\nkind = "classification"\ntemplate = "{template}"\nmax_tokens = {max_tokens}\n'
    return parse_task(head + labels, "test")


def masked_task(max_tokens: int = 64, words: tuple[str, ...] = ("terrible", "great")) -> Task:
    return causal_task(max_tokens, words, "{text} It was {mask}.")


def compile_causal(tokenizer: Tokenizer, task: Task, positions: int = 1000) -> CompiledTask:
    return CompiledTask(task, tokenizer, "causal", None, "<unk>", positions, vocabulary_size=10**6)


def compile_masked(tokenizer: Tokenizer, task: Task) -> CompiledTask:
    return CompiledTask(task, tokenizer, "masked", "[MASK]", "[UNK]", 1000, vocabulary_size=10**6)


@pytest.mark.parametrize("text", TEXTS)
def test_a_causal_row_is_the_tokenizers_own_encoding_without_a_trailing_end(
    causal_tokenizer: Tokenizer, text: str
) -> None:
    encoded = compile_causal(causal_tokenizer, causal_task(200)).encode({"text": text})
    expected = causal_tokenizer.encode(f"Q: {text}\nA:").ids
    assert expected[0] == 0
    expected = expected[:-1] if expected[-1] == 1 else expected
    assert encoded.ids.tolist() == expected
    assert encoded.ids.dtype == np.int64
    assert encoded.position == len(expected) - 1
    assert encoded.truncated_tokens == 0


@pytest.mark.parametrize("text", ["good film", "a film . fine", "unknown words here", "good  "])
def test_a_masked_row_is_the_tokenizers_own_encoding_with_the_mask_as_position(
    masked_tokenizer: Tokenizer, text: str
) -> None:
    encoded = compile_masked(masked_tokenizer, masked_task()).encode({"text": text})
    assert encoded.ids.tolist() == masked_tokenizer.encode(f"{text} It was [MASK].").ids
    assert (encoded.ids[0], encoded.ids[-1]) == (2, 3)
    assert encoded.ids[encoded.position] == 4


def test_label_words_are_the_tokens_that_follow_the_template(causal_tokenizer: Tokenizer) -> None:
    compiled = compile_causal(causal_tokenizer, causal_task())
    assert compiled.label_word_ids == tuple(causal_tokenizer.token_to_id(t) for t in ("\u0120bad", "\u0120good"))


def test_the_settings_of_the_given_tokenizer_neither_matter_nor_change(causal_tokenizer: Tokenizer) -> None:
    expected = compile_causal(causal_tokenizer, causal_task()).encode({"text": "good film"}).ids.tolist()
    causal_tokenizer.enable_truncation(3)
    causal_tokenizer.enable_padding(length=50)
    before = causal_tokenizer.to_str()
    assert compile_causal(causal_tokenizer, causal_task()).encode({"text": "good film"}).ids.tolist() == expected
    assert causal_tokenizer.to_str() == before


@pytest.mark.parametrize("limit", [8, 9, 13, 20, 33])
def test_truncation_keeps_the_templates_ends_and_fits(causal_tokenizer: Tokenizer, limit: int) -> None:
    compiled = compile_causal(causal_tokenizer, causal_task(limit))
    text = "abcdefgh" * 8
    encoded = compiled.encode({"text": text})
    # One byte is one token here, so nothing needs to be lost beyond the limit.
    kept = limit - 1 - len("Q: \nA:")
    assert encoded.ids.tolist() == [0, *causal_tokenizer.encode(f"Q: {text[:kept]}\nA:", add_special_tokens=False).ids]
    assert len(encoded.ids) == limit
    assert encoded.position == limit - 1
    assert encoded.truncated_tokens == len(text) - kept


def test_a_masked_row_is_cut_before_its_mask(masked_tokenizer: Tokenizer) -> None:
    encoded = compile_masked(masked_tokenizer, masked_task(9)).encode({"text": "good film " * 50})
    assert encoded.ids.tolist() == masked_tokenizer.encode("good film good It was [MASK].").ids
    assert encoded.ids[encoded.position] == 4


@pytest.mark.parametrize("limit", [8, 9, 10, 11, 17])
@pytest.mark.parametrize(
    "text", ["😀" * 300, "👩‍👩‍👧‍👦" * 60, "e\u0301" * 400, "文字化け" * 200, " " * 500 + "x", "\U0010ffff" * 99]
)
def test_long_unicode_is_cut_between_characters(causal_tokenizer: Tokenizer, text: str, limit: int) -> None:
    encoded = compile_causal(causal_tokenizer, causal_task(limit)).encode({"text": text})
    assert len(encoded.ids) <= limit
    shown = causal_tokenizer.decode(encoded.ids.tolist(), skip_special_tokens=True)
    assert shown.startswith("Q: ")
    assert shown.endswith("\nA:")
    assert "\ufffd" not in shown
    assert text.startswith(shown[3:-3])


def test_truncation_of_random_text_always_fits(causal_tokenizer: Tokenizer) -> None:
    generator = random.Random(7)
    compiled = compile_causal(causal_tokenizer, causal_task(24))
    for _ in range(200):
        text = "".join(generator.choice("ab é😀文 good\n\u200d") for _ in range(generator.randint(1, 90)))
        encoded = compiled.encode({"text": text})
        assert len(encoded.ids) <= 24
        assert encoded.position == len(encoded.ids) - 1


def test_one_hundred_thousand_characters_take_no_longer_than_a_blink(causal_tokenizer: Tokenizer) -> None:
    assert len(compile_causal(causal_tokenizer, causal_task(64)).encode({"text": "wörd " * 20_000}).ids) <= 64


def test_a_template_that_is_too_long_itself_is_told(causal_tokenizer: Tokenizer) -> None:
    with pytest.raises(SeedTuneError, match="max_tokens = 5"):
        compile_causal(causal_tokenizer, causal_task(5)).encode({"text": "abc"})


@pytest.mark.parametrize("special", ["<s>", "</s>", "<unk>", "<pad>"])
def test_a_special_token_in_a_rows_text_never_becomes_one(causal_tokenizer: Tokenizer, special: str) -> None:
    compiled = compile_causal(causal_tokenizer, causal_task(100))
    ids = compiled.encode({"text": f"good {special} film"}).ids.tolist()
    assert not set(ids[1:]) & {0, 1, 2, 3}
    assert causal_tokenizer.decode(ids, skip_special_tokens=True) == f"Q: good {special} film\nA:"


def test_a_mask_in_a_rows_text_never_becomes_one(masked_tokenizer: Tokenizer) -> None:
    compiled = compile_masked(masked_tokenizer, masked_task())
    for text in ("good [MASK] film", "[MASK]", "[CLS] [SEP] [PAD]"):
        encoded = compiled.encode({"text": text})
        ids = encoded.ids.tolist()
        assert ids.count(4) == 1
        assert encoded.position == ids.index(4) == len(ids) - 3
        assert not set(ids[1:-1]) & {0, 2, 3}


def refusal(make: Callable[..., object], *arguments: object) -> str:
    with pytest.raises(SeedTuneError) as caught:
        make(*arguments)
    return str(caught.value)


def test_a_label_word_of_several_tokens_shows_them_and_the_spelling_that_is_one(causal_tokenizer: Tokenizer) -> None:
    message = refusal(compile_causal, causal_tokenizer, causal_task(64, ("good", " bad")))
    assert "'good' is 4 tokens" in message
    assert "['g', 'o', 'o', 'd']" in message
    assert "' good'" in message


def test_a_label_word_without_a_better_spelling_says_choose_another(causal_tokenizer: Tokenizer) -> None:
    message = refusal(compile_causal, causal_tokenizer, causal_task(64, (" magnificent", " bad")))
    assert "choose another label word" in message


def test_an_unknown_label_word_is_refused(masked_tokenizer: Tokenizer) -> None:
    assert "unknown token" in refusal(compile_masked, masked_tokenizer, masked_task(64, ("terrible", "xyzzy")))


def test_two_labels_with_one_token_are_refused(masked_tokenizer: Tokenizer) -> None:
    assert "same token" in refusal(compile_masked, masked_tokenizer, masked_task(64, ("great", " great")))


def test_rows_longer_than_the_model_takes_are_refused_at_once(causal_tokenizer: Tokenizer) -> None:
    message = refusal(compile_causal, causal_tokenizer, causal_task(65), 64)
    assert "65" in message
    assert "<= 64" in message
    assert compile_causal(causal_tokenizer, causal_task(64), 64).task.max_tokens == 64


def test_a_masked_model_needs_a_mask_token(causal_tokenizer: Tokenizer) -> None:
    for mask in (None, "<mask>"):
        with pytest.raises(SeedTuneError, match="mask token"):
            CompiledTask(
                masked_task(64, (" bad", " good")), causal_tokenizer, "masked", mask, None, 100, vocabulary_size=10**6
            )


def test_transformers_gives_the_same_ids(causal_tokenizer: Tokenizer) -> None:
    transformers = pytest.importorskip("transformers")
    reference = transformers.PreTrainedTokenizerFast(tokenizer_object=causal_tokenizer, eos_token="</s>")
    compiled = compile_causal(causal_tokenizer, causal_task(300))
    for text in TEXTS:
        expected = [i for i in reference(f"Q: {text}\nA:")["input_ids"] if i != 1]
        assert compiled.encode({"text": text}).ids.tolist() == expected
