"""Causal rows split into context and suffix: the border stands where the text alone stops saying what the ids are."""

from __future__ import annotations

import json
import random
from collections.abc import Sequence

import numpy as np
import pytest
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors

from seedtune.runtime.errors import SeedTuneError
from seedtune.runtime.task.compile import CompiledTask
from seedtune.runtime.task.definition import parse_task
from seedtune.runtime.task.example import Example
from seedtune.runtime.task.structure import Scope

LABELS = """
labels = [{ value = "0", word = " bad" }, { value = "1", word = " good" }]
"""
TEXTS = ["good film", "a", "", " ", "größer 😀 文字", " edge ", "line\n", "{braces}", "e\u0301", "it is", "</s> <s>"]


def merging_tokenizer(
    *phrases: str, trailing_end: bool = False, begin: bool = True, more: Sequence[tuple[str, str]] = ()
) -> Tokenizer:
    """Bytes as tokens, merged from the left along ``phrases``, then as ``more`` says: nothing is split beforehand."""
    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    spell = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    merges: list[tuple[str, str]] = []
    made: list[str] = []
    for phrase in (" bad", " good", *phrases):
        word = spell.pre_tokenize_str(phrase)[0][0]
        for end in range(1, len(word)):
            if word[: end + 1] not in made:
                merges.append((word[:end], word[end]))
                made.append(word[: end + 1])
    merges += more
    made += [left + right for left, right in more]
    vocabulary = {token: index for index, token in enumerate(["<s>", "</s>", *letters, *made])}
    tokenizer = Tokenizer(models.BPE(vocab=vocabulary, merges=merges))
    tokenizer.add_special_tokens(["<s>", "</s>"])
    tokenizer.pre_tokenizer = spell
    tokenizer.decoder = decoders.ByteLevel()
    around = " ".join(["<s>"] * begin + ["$A"] + ["</s>"] * trailing_end)
    tokenizer.post_processor = processors.TemplateProcessing(single=around, special_tokens=[("<s>", 0), ("</s>", 1)])
    return tokenizer


def compiled(
    tokenizer: Tokenizer, template: str, scope: Scope = "suffix", max_tokens: int = 200, truncate: str = ""
) -> CompiledTask:
    head = f'name = "t"\nkind = "classification"\ntemplate = {json.dumps(template)}\nmax_tokens = {max_tokens}\n'
    head += f'truncate = "{truncate}"\n' if truncate else ""
    task = parse_task(head + LABELS, "test")
    return CompiledTask(task, tokenizer, "causal", None, None, 1000, scope, vocabulary_size=10**6)


def border_of(encoded: Example) -> int:
    """The first place of a suffix that runs to the end of its row."""
    assert encoded.suffix is not None
    assert encoded.suffix.dtype == np.int64
    border = int(encoded.suffix[0])
    assert encoded.suffix.tolist() == list(range(border, len(encoded.ids)))
    assert encoded.position in encoded.suffix
    return border


def ids_of(tokenizer: Tokenizer, text: str) -> list[int]:
    """The ids of a text that holds no special token, without an end token."""
    encode_special, tokenizer.encode_special_tokens = tokenizer.encode_special_tokens, True
    ids = tokenizer.encode(text).ids
    tokenizer.encode_special_tokens = encode_special
    return ids[:-1] if ids and ids[-1] == 1 else ids


@pytest.mark.parametrize("trailing_end", [False, True])
@pytest.mark.parametrize("text", TEXTS)
def test_the_context_is_the_text_up_to_the_field_alone_and_the_suffix_all_the_rest(
    text: str, trailing_end: bool
) -> None:
    tokenizer = merging_tokenizer(trailing_end=trailing_end)
    encoded = compiled(tokenizer, "Q: {text}\nA:").encode({"text": text})
    border = border_of(encoded)
    assert encoded.ids[:border].tolist() == ids_of(tokenizer, f"Q: {text}")
    assert tokenizer.decode(encoded.ids[border:].tolist()) == "\nA:"
    assert encoded.ids.tolist() == ids_of(tokenizer, f"Q: {text}\nA:")
    whole = compiled(tokenizer, "Q: {text}\nA:", "all").encode({"text": text})
    assert whole.suffix is None
    assert (whole.ids.tolist(), whole.position) == (encoded.ids.tolist(), encoded.position)


@pytest.mark.parametrize(
    ("phrase", "text", "moved"),
    [("m\nA", "film", 1), ("film\nA:", "film", 1), (": film\n", "film", 1), ("m\nA", "good", 0), ("\nA:", "film", 0)],
)
def test_a_token_across_the_border_belongs_to_the_suffix(phrase: str, text: str, moved: int) -> None:
    """``moved`` tokens of the text alone are others in the whole row."""
    tokenizer = merging_tokenizer(phrase)
    encoded = compiled(tokenizer, "Q: {text}\nA:").encode({"text": text})
    alone = ids_of(tokenizer, f"Q: {text}")
    border = border_of(encoded)
    assert border == len(alone) - moved
    assert encoded.ids[:border].tolist() == alone[:border]
    if moved:
        assert encoded.ids[border] != alone[border]
    assert encoded.ids.tolist() == ids_of(tokenizer, f"Q: {text}\nA:")


def test_a_token_across_the_border_may_take_several_of_the_text_with_it() -> None:
    """``m`` and the line break are merged first, then ``l`` with both: alone the text ends with ``l``, ``m``."""
    tokenizer = merging_tokenizer("m\n", more=[("l", "m\u010a")])
    encoded = compiled(tokenizer, "Q: {text}\nA:").encode({"text": "film"})
    alone = ids_of(tokenizer, "Q: film")
    border = border_of(encoded)
    assert border == len(alone) - 2
    assert encoded.ids[:border].tolist() == alone[:border]
    assert encoded.ids[border] == tokenizer.token_to_id("lm\u010a")


def test_the_context_does_not_depend_on_what_the_template_says_behind_the_field() -> None:
    """What makes a cache possible: ids before the border are a function of the text alone."""
    generator = random.Random(5)
    tokenizer = merging_tokenizer("a b", "ab\n", "b\nA", " a", "ba:", "bb")
    ends = ("\nA:", ": is", "b")
    tasks = [compiled(tokenizer, "Q: {text}" + end) for end in ends]
    moved = 0
    for _ in range(150):
        text = "".join(generator.choices("ab \n", k=generator.randint(0, 9)))
        alone = ids_of(tokenizer, f"Q: {text}")
        for task, end in zip(tasks, ends, strict=True):
            encoded = task.encode({"text": text})
            border = border_of(encoded)
            assert encoded.ids.tolist() == ids_of(tokenizer, f"Q: {text}{end}")
            assert encoded.ids[:border].tolist() == alone[:border]
            # The border is as far to the right as it can be.
            assert border == len(alone) or encoded.ids[border] != alone[border]
            moved += border < len(alone)
    assert moved > 20


def test_several_fields_are_split_behind_the_last_one() -> None:
    tokenizer = merging_tokenizer()
    task = compiled(tokenizer, "{a} and {b} and {a}, so:", truncate="b")
    encoded = task.encode({"a": "one", "b": "two"})
    border = border_of(encoded)
    assert encoded.ids[:border].tolist() == ids_of(tokenizer, "one and two and one")
    assert tokenizer.decode(encoded.ids[border:].tolist()) == ", so:"


@pytest.mark.parametrize("limit", [12, 13, 20])
def test_a_truncated_row_is_split_where_its_text_was_cut(limit: int) -> None:
    tokenizer = merging_tokenizer("h\nA")
    encoded = compiled(tokenizer, "Q: {text}\nA:", max_tokens=limit).encode({"text": "abcdefgh" * 8})
    assert len(encoded.ids) <= limit
    assert encoded.truncated_tokens > 0
    shown = tokenizer.decode(encoded.ids.tolist())
    text = shown.removeprefix("Q: ").removesuffix("\nA:")
    assert len(shown) == len(text) + len("Q: \nA:")
    assert ("abcdefgh" * 8).startswith(text)
    border = border_of(encoded)
    assert encoded.ids[:border].tolist() == ids_of(tokenizer, f"Q: {text}")[:border]


def test_a_row_truncated_to_nothing_still_has_its_template() -> None:
    tokenizer = merging_tokenizer()
    encoded = compiled(tokenizer, "Q: {text}\nA:", max_tokens=7).encode({"text": "abc"})
    assert tokenizer.decode(encoded.ids.tolist()) == "Q: \nA:"
    assert border_of(encoded) == 4


@pytest.mark.parametrize("begin", [False, True])
def test_a_row_without_a_context_is_all_suffix(begin: bool) -> None:
    """Nothing stands before the field, and the field is empty. A begin token alone is no context either."""
    tokenizer = merging_tokenizer(begin=begin)
    encoded = compiled(tokenizer, "{text}\nA:").encode({"text": ""})
    assert border_of(encoded) == 0
    assert encoded.ids.tolist() == ids_of(tokenizer, "\nA:")


def test_a_merge_of_the_whole_row_leaves_no_context() -> None:
    tokenizer = merging_tokenizer("it\nA:", begin=False)
    encoded = compiled(tokenizer, "{text}\nA:").encode({"text": "it"})
    assert len(encoded.ids) == 1
    assert (border_of(encoded), encoded.position) == (0, 0)


@pytest.mark.parametrize("template", ["{text}", "Q: {text}", "Q: {text} A: {text}"])
def test_a_template_that_ends_with_its_field_is_refused_for_scope_suffix_only(template: str) -> None:
    tokenizer = merging_tokenizer()
    with pytest.raises(SeedTuneError, match="ends with a field") as caught:
        compiled(tokenizer, template)
    assert repr(template) in str(caught.value)
    assert "--scope all" in str(caught.value)
    assert compiled(tokenizer, template, "all").encode({"text": "abc"}).suffix is None


@pytest.mark.parametrize("template", ["{text}:", "{text} ", "{text}{{", "{text}\n"])
def test_any_fixed_text_behind_the_field_is_a_suffix(template: str) -> None:
    tokenizer = merging_tokenizer()
    encoded = compiled(tokenizer, template).encode({"text": "abc"})
    assert border_of(encoded) == 1 + len("abc")
    assert encoded.position == len(encoded.ids) - 1
