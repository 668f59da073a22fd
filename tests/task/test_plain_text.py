"""Text of a row stays text, whichever model a tokenizer has; all other ids are the tokenizer's own."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from tokenizer_lab import BUILDERS, SPECIALS, compiled, compiled_for, suffix_of, task_of, tokenizer_of, words_of
from tokenizers import AddedToken, Tokenizer, models, pre_tokenizers

from seedtune.runtime.errors import SeedTuneError
from seedtune.runtime.model.splits import load_split
from seedtune.runtime.task.plain_text import plain_text

MASKED, CAUSAL = "{text} It was {mask} .", "{text} It was"
MASK = 4
# Of the causal template, as each model spells it.
PLAIN = ["a film", "film . great", "  a  film ", "größer 😀 文字", "<0x41> a", "a\u0301 ﬁlm", "xx\u2581xx", "a\nb"]
SPELLED = {
    "byte_level": ["</s>", "a</s>b", "<mask>", "x <pad> y<s>"],
    "whole_words": ["</s>", "a <mask> film", "<pad>"],
    "byte_fallback": ["</s>", "a</s>b", "<mask>", "x <pad> y<s>"],
    "unigram": ["</s>", "a</s>b", "what a <mask> film", "a<mask>b", "<pad> film", "a <s> b", "\uff1cmask\uff1e"],
    "unigram_bytes": ["</s>", "a</s>b", "what a <mask> film", "\uff1cmask\uff1e"],
    "word_pieces": ["</s>", "a <mask> film", "a <MASK> film", "<PAD>", "<M\u00c4SK>"],
    "word_level": ["</s>", "a <mask> film", "<pad>"],
}


def read_as_text(name: str, text: str) -> list[int]:
    """What the library makes of ``text`` when it is told to read special tokens as text."""
    copy = Tokenizer.from_str(tokenizer_of(name).to_str())
    copy.encode_special_tokens = True
    return copy.encode(text, add_special_tokens=False).ids


@pytest.mark.parametrize("name", BUILDERS)
def test_the_libraries_own_setting_is_not_enough(name: str) -> None:
    """Or nothing here would prove anything."""
    for text in SPELLED[name]:
        assert {0, 1, 2, MASK} & set(read_as_text(name, text)), text


@pytest.mark.parametrize("template", [MASKED, CAUSAL])
@pytest.mark.parametrize("name", BUILDERS)
def test_text_that_spells_a_special_token_becomes_none(name: str, template: str) -> None:
    task = compiled(name, template)
    around = [0, MASK, 2] if template == MASKED else [0]
    for text in (*SPELLED[name], *SPECIALS, *PLAIN):
        encoded = task.encode({"text": text})
        assert [index for index in encoded.ids.tolist() if index in (0, 1, 2, MASK)] == around, text
        assert encoded.ids[encoded.position] == MASK or template == CAUSAL
        assert encoded.position in suffix_of(encoded)


@pytest.mark.parametrize("name", ["byte_level", "byte_fallback", "unigram", "unigram_bytes"])
def test_such_text_is_spelled_by_its_characters(name: str) -> None:
    tokens = compiled(name, CAUSAL)._encoder.tokens(compiled(name, CAUSAL).encode({"text": "a</s>s"}).ids.tolist())
    spelled = "".join(tokens[1:])
    assert spelled.removeprefix("\u2581").startswith("a</s>s"), spelled
    assert len(tokens) > len("a</s>s")


@pytest.mark.parametrize("name", BUILDERS)
def test_all_other_text_has_the_ids_that_transformers_gives(name: str) -> None:
    transformers = pytest.importorskip("transformers")
    reference = transformers.PreTrainedTokenizerFast(
        tokenizer_object=tokenizer_of(name), eos_token="</s>", mask_token="<mask>"
    )
    for text in PLAIN:
        row = reference(f"{text} It was <mask> .")["input_ids"]
        encoded = compiled(name, MASKED).encode({"text": text})
        assert encoded.ids.tolist() == row, text
        assert encoded.position == row.index(MASK)
        causal = reference(f"{text} It was")["input_ids"]
        assert causal.pop() == 2
        assert compiled(name, CAUSAL).encode({"text": text}).ids.tolist() == causal, text


@pytest.mark.parametrize("name", BUILDERS)
def test_the_unknown_token_stays_what_a_vocabulary_lacks(name: str) -> None:
    for text in ("\U0001f9ff \u0416", "<unk> \u0416"):
        own = tokenizer_of(name).encode("\U0001f9ff \u0416", add_special_tokens=False).ids
        found = compiled(name, CAUSAL).encode({"text": text}).ids.tolist()
        assert (3 in found) == (3 in own), text


@pytest.mark.parametrize("name", BUILDERS)
def test_added_tokens_that_are_not_special_stay_as_the_tokenizer_reads_them(name: str) -> None:
    tokenizer = Tokenizer.from_str(tokenizer_of(name).to_str())
    tokenizer.add_tokens(["<think>", AddedToken("superfilm", single_word=True)])
    task = compiled_for(tokenizer, task_of(MASKED, *words_of(name, MASKED)))
    for text, expected in (
        ("a <think> film", ["<think>"]),
        ("superfilm a", ["superfilm"]),
        ("superfilms", []),
        ("<think></s> superfilm", ["<think>", "superfilm"]),
    ):
        ids = task.encode({"text": text}).ids.tolist()
        added = {tokenizer.token_to_id(content): content for content in ("<think>", "superfilm")}
        assert [added[index] for index in ids if index in added] == expected
        if "</s>" not in text:
            assert ids == tokenizer.encode(f"{text} It was <mask> .").ids


def test_a_special_token_of_one_character_is_refused_in_a_row_and_stays_in_a_template() -> None:
    """Some pad with ``!``: a row cannot be written without it."""
    letters = dict.fromkeys("! abcdefghijklmnopqrstuvwxyz")
    merges = [("!", "!"), *((word[:end], word[end]) for word in (" bad", " great") for end in range(1, len(word)))]
    pieces = {piece: index for index, piece in enumerate([*letters, *(left + right for left, right in merges)])}
    tokenizer = Tokenizer(models.BPE(vocab=pieces, merges=merges))
    tokenizer.add_special_tokens(["!"])
    task = compiled_for(tokenizer, task_of("film! {text} is", " bad", " great"))
    with pytest.raises(SeedTuneError, match="no other spelling") as caught:
        task.encode({"text": "a film!"})
    assert caught.value.value == "!"
    assert task.encode({"text": "film"}).ids.tolist() == tokenizer.encode("film! film is").ids
    assert pieces["!!"] in task.encode({"text": "a film!!"}).ids.tolist()


def test_a_refused_row_is_named_by_file_and_line(tmp_path: Path) -> None:
    pieces = {piece: index for index, piece in enumerate(["!", "is", "film", "bad", "great", "something"])}
    tokenizer = Tokenizer(models.WordLevel(pieces, unk_token="<none>"))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    tokenizer.add_special_tokens(["!"])
    task = compiled_for(tokenizer, task_of("{text} is", " bad", " great"))
    path = tmp_path / "rows.jsonl"
    for text, message in (("film !", "no other spelling"), ("zebra", "cannot encode")):
        path.write_text(json.dumps({"text": "film", "label": 1}) + "\n" + json.dumps({"text": text, "label": 1}) + "\n")
        with pytest.raises(SeedTuneError, match=message) as caught:
            load_split(path, task)
        assert caught.value.file == f"{path}:2"


@pytest.mark.parametrize("template", ["{text} it was{mask}", "{text}{mask} film"])
def test_a_mask_that_stands_between_words_only_is_refused_elsewhere(template: str) -> None:
    content = json.loads(tokenizer_of("word_level").to_str())
    for token in content["added_tokens"]:
        token["single_word"] |= token["content"] == "<mask>"
    task = compiled_for(Tokenizer.from_str(json.dumps(content)), task_of(template, "terrible", "great"))
    with pytest.raises(SeedTuneError, match="spaces around"):
        task.encode({"text": "film"})


@pytest.mark.parametrize("name", BUILDERS)
def test_the_copy_has_every_id_and_the_original_stays(name: str) -> None:
    tokenizer = tokenizer_of(name)
    before = tokenizer.to_str()
    copy = plain_text(tokenizer).tokenizer
    assert tokenizer.to_str() == before
    own, copied = tokenizer.get_vocab(), copy.get_vocab()
    assert sorted(own.values()) == sorted(copied.values())
    assert {token: index for token, index in own.items() if token not in SPECIALS}.items() <= copied.items()
    assert json.loads(copy.to_str())["post_processor"] == json.loads(before)["post_processor"]
