"""Whatever a text is: no special token comes out of it, the mask is the template's, rows split where they should.

Texts are made of Unicode's characters, and of special tokens' texts, whole and in parts, in other cases and widths.
"""

from __future__ import annotations

from functools import cache

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizer_lab import BUILDERS, SPECIALS, compiled, compiled_for, suffix_of, tokenizer_of

from seedtune.runtime.task.compile import CompiledTask
from seedtune.runtime.task.plain_text import PRIVATE
from seedtune.runtime.task.structure import Task

MASK, SPECIAL_IDS = 4, {0, 1, 2, 4}
MASKED, CAUSAL = "{text} It was {mask} .", "It is {text} is great"
ENDS = (" is great", ".", "s>", "> mask", "\na", " It</s> was", " xx")
PARTS = ["<", ">", "</", "s>", "<ma", "sk>", "/s>", "<s", "pad>", "\u2581", " ", "  ", "\n", "great", " film"]

# Without the character that a row may not have.
characters = st.text(st.characters(codec="utf-8", exclude_characters=PRIVATE), max_size=12)
spelled = st.sampled_from([*SPECIALS, "\u2581<mask>", "</s></s>", "<mask>s"])
parts = st.sampled_from(PARTS)
folded = spelled.flatmap(lambda text: st.sampled_from([text.upper(), _wide(text), _accented(text)]))
texts = st.lists(st.one_of(characters, spelled, parts, folded), max_size=8).map("".join).map(lambda text: text[:200])
plain = st.lists(characters | parts, max_size=8).map("".join)
every_model = pytest.mark.parametrize("name", BUILDERS)


def _wide(text: str) -> str:
    return "".join(chr(ord(letter) + 0xFEE0) if "!" <= letter <= "~" else letter for letter in text)


def _accented(text: str) -> str:
    return text.replace("s", "s\u0301").replace("a", "\u00e4")


@cache
def completion(name: str) -> CompiledTask:
    task = Task("test", "completion", "It is {text}", response=" was {answer}", truncate="text", max_tokens=4096)
    return compiled_for(tokenizer_of(name), task, "suffix")


def specials_in(ids: list[int]) -> list[int]:
    return [index for index in ids if index in SPECIAL_IDS]


@every_model
@given(text=texts)
def test_only_the_template_and_the_post_processor_put_special_tokens_into_a_row(name: str, text: str) -> None:
    masked = compiled(name, MASKED).encode({"text": text})
    assert specials_in(masked.ids.tolist()) == [0, MASK, 2]
    assert masked.ids[masked.position] == MASK
    causal = compiled(name, CAUSAL).encode({"text": text})
    assert specials_in(causal.ids.tolist()) == [0]
    assert causal.position == len(causal.ids) - 1


@every_model
@given(text=texts, around=st.tuples(spelled | parts, spelled | parts), end=st.sampled_from(ENDS))
def test_fields_that_stand_side_by_side_spell_no_special_token_together(
    name: str, text: str, around: tuple[str, str], end: str
) -> None:
    task = compiled(name, "{first}{text}{second} is")
    fields = {"first": around[0], "text": text, "second": around[1] + end}
    assert specials_in(task.encode(fields).ids.tolist()) == [0]


@every_model
@given(text=plain)
def test_text_without_special_tokens_has_the_tokenizers_own_ids(name: str, text: str) -> None:
    tokenizer = tokenizer_of(name)
    row = f"It is {text} is great"
    seen = tokenizer.normalizer.normalize_str(row) if tokenizer.normalizer else row
    if any(content in seen or content in row for content in SPECIALS):
        return
    assert [*compiled(name, CAUSAL).encode({"text": text}).ids.tolist(), 2] == tokenizer.encode(row).ids


@every_model
@given(text=texts, ends=st.lists(st.sampled_from(ENDS), min_size=2, max_size=2, unique=True))
def test_context_and_suffix_are_the_row_and_the_context_depends_on_the_text_alone(
    name: str, text: str, ends: list[str]
) -> None:
    contexts = []
    for end in ends:
        template = "It {text}" + end
        encoded = compiled(name, template).encode({"text": text})
        whole = compiled(name, template, scope="all").encode({"text": text})
        border = int(suffix_of(encoded)[0])
        assert encoded.ids.tolist() == whole.ids.tolist()
        assert suffix_of(encoded).tolist() == list(range(border, len(encoded.ids)))
        assert encoded.position == whole.position == len(encoded.ids) - 1
        contexts.append(encoded.ids[:border].tolist())
    shorter, longer = sorted(contexts, key=len)
    # Tokens across the border belong to the suffix, so one context may be longer; never another.
    assert longer[: len(shorter)] == shorter


@every_model
@given(text=texts, template=st.sampled_from(["{text} It was {mask} .", "{mask} {text}", "It {mask} {text} was"]))
def test_the_suffix_of_a_masked_row_has_the_mask_and_what_follows_the_text(name: str, text: str, template: str) -> None:
    encoded = compiled(name, template).encode({"text": text})
    assert encoded.ids.tolist() == compiled(name, template, scope="all").encode({"text": text}).ids.tolist()
    suffix = suffix_of(encoded).tolist()
    assert suffix == sorted(set(suffix))
    assert {encoded.position, len(encoded.ids) - 1} <= set(suffix)
    behind = [place for place in suffix if place != encoded.position]
    assert behind == list(range(behind[0], len(encoded.ids))) or encoded.position in range(behind[0], len(encoded.ids))


@every_model
@given(prompt=texts, answer=texts)
def test_a_prompt_and_its_response_are_the_row_and_only_the_end_is_special(name: str, prompt: str, answer: str) -> None:
    encoded = completion(name).encode({"text": prompt, "answer": answer})
    border = int(suffix_of(encoded)[0]) + 1
    assert encoded.targets is not None
    row = [*encoded.ids.tolist(), int(encoded.targets[-1])]
    assert row[border:] == encoded.targets.tolist()
    assert suffix_of(encoded).tolist() == list(range(border - 1, len(encoded.ids)))
    assert specials_in(row) == [0, 2]
    other = completion(name).encode({"text": prompt, "answer": "great"})
    common = min(border, int(suffix_of(other)[0]) + 1)
    assert other.ids[:common].tolist() == row[:common]


@every_model
@given(text=texts, limit=st.integers(12, 30))
def test_a_truncated_row_fits_and_keeps_its_template(name: str, text: str, limit: int) -> None:
    whole = compiled(name, MASKED).encode({"text": ""}).ids.tolist()
    limit = max(limit, len(whole))
    encoded = compiled(name, MASKED, limit).encode({"text": text})
    assert len(encoded.ids) <= limit
    assert specials_in(encoded.ids.tolist()) == [0, MASK, 2]
    assert encoded.ids[encoded.position :].tolist() == whole[whole.index(MASK) :]
