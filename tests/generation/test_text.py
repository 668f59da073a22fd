"""Text while its tokens come: the same as decoding them all, and nothing from a stop text on."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors

from seedtune.runtime.generation.text import TextStream


def byte_tokenizer() -> Tokenizer:
    """A token a byte, so that a character may take four."""
    vocabulary = {character: place for place, character in enumerate(sorted(pre_tokenizers.ByteLevel.alphabet()))}
    tokenizer = Tokenizer(models.BPE(vocabulary | {"<end>": 256}, []))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.post_processor = processors.ByteLevel(trim_offsets=False)
    tokenizer.add_special_tokens(["<end>"])
    return tokenizer


def word_tokenizer() -> Tokenizer:
    """As SentencePiece spells words: a space in front of each, but the first of a text."""
    words = ["▁Hello", "▁world", "!", "▁again", "<0x41>"]
    tokenizer = Tokenizer(models.Unigram([(word, -1.0) for word in words], unk_id=2))
    tokenizer.decoder = decoders.Sequence(
        [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)]
    )
    return tokenizer


def streamed(tokenizer: Tokenizer, before: list[int], ids: list[int], stops: tuple[str, ...] = ()) -> TextStream:
    """All of ``ids`` through a stream; asserts that what it gives out is its text."""
    stream = TextStream(tokenizer, before, stops)
    given = ""
    for index in ids:
        given += stream.add(index)
        if stream.stopped:
            break
    given += stream.finish()
    assert given == stream.text
    return stream


@settings(max_examples=100, deadline=None)
@given(before=st.text(max_size=5), text=st.text(max_size=12), cut=st.integers(0, 3))
def test_the_text_is_that_of_all_tokens_at_once_even_where_it_ends_within_a_character(
    before: str, text: str, cut: int
) -> None:
    tokenizer = byte_tokenizer()
    ids = tokenizer.encode(text).ids
    ids = ids[: len(ids) - cut]
    stream = streamed(tokenizer, tokenizer.encode(before).ids, ids)
    assert stream.text == tokenizer.decode(ids)


def test_nothing_is_given_out_of_a_character_before_it_is_whole() -> None:
    tokenizer = byte_tokenizer()
    stream = TextStream(tokenizer, [], ())
    assert [stream.add(index) for index in tokenizer.encode("a😀b").ids] == ["a", "", "", "", "😀", "b"]


def test_special_tokens_have_no_text() -> None:
    tokenizer = byte_tokenizer()
    assert streamed(tokenizer, [], [*tokenizer.encode("ab").ids, 256]).text == "ab"


def test_the_space_in_front_of_the_first_word_is_there_behind_a_prompt() -> None:
    tokenizer = word_tokenizer()
    assert tokenizer.decode([1, 2]) == "world!"
    assert streamed(tokenizer, [0], [1, 2, 3]).text == " world! again"


@pytest.mark.parametrize("stops", [("stop",), ("\n\n", "stop"), ("top", "stop me")])
@pytest.mark.parametrize("text", ["go on and stop me now", "sto sto stop", "stop", "no end\n\nhere", "never s"])
def test_text_ends_in_front_of_the_first_stop_text(text: str, stops: tuple[str, ...]) -> None:
    tokenizer = byte_tokenizer()
    stream = streamed(tokenizer, [], tokenizer.encode(text).ids, stops)
    # The first that is complete ends the text; of several that are complete at once the one that begins first.
    ends = [(text.index(stop) + len(stop), text.index(stop)) for stop in stops if stop in text]
    assert stream.stopped == bool(ends)
    assert stream.text == (text[: min(ends)[1]] if ends else text)
