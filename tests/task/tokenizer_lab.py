"""Small tokenizers of every model, each of which would make special tokens of a text that only spells them.

In all of them ``<s>``, ``<pad>``, ``</s>`` and ``<unk>`` are 0 to 3, a text stands between ``<s>`` and ``</s>``, and
``<mask>`` takes the space before it, as XLM-R and RoBERTa have it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import cache

import numpy as np
from tokenizers import AddedToken, Regex, Tokenizer, models, normalizers, pre_tokenizers, processors

from seedtune.runtime.task.compile import CompiledTask
from seedtune.runtime.task.definition import Label, Task
from seedtune.runtime.task.example import Example
from seedtune.runtime.task.structure import Family, Scope

SPECIALS = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]
WORDS = ["a", "film", "It", "was", ".", "terrible", "great", "<", ">", "</", "s>", "mask", "is", "xx"]


def _finished(tokenizer: Tokenizer) -> Tokenizer:
    tokenizer.add_special_tokens([*SPECIALS[:4], AddedToken("<mask>", lstrip=True, special=True)])
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>", special_tokens=[("<s>", 0), ("</s>", 2)]
    )
    return tokenizer


def _merges(words: Iterable[str]) -> list[tuple[str, str]]:
    """Merges that lead to each of ``words`` from the left."""
    found = ((word[:end], word[end]) for word in words for end in range(1, len(word)))
    return list(dict.fromkeys(found))


def _pairs(letters: Iterable[str], words: Iterable[str], **options: object) -> Tokenizer:
    merges = _merges(words)
    pieces = dict.fromkeys([*SPECIALS, *letters, *(left + right for left, right in merges)])
    vocabulary = {piece: index for index, piece in enumerate(pieces)}
    return Tokenizer(models.BPE(vocab=vocabulary, merges=merges, unk_token="<unk>", **options))


def byte_level() -> Tokenizer:
    """Byte-level BPE whose merges lead to special tokens; nothing is split beforehand."""
    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    tokenizer = _pairs(letters, ["\u0120terrible", "\u0120great", *SPECIALS])
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    return _finished(tokenizer)


def whole_words() -> Tokenizer:
    """Byte-level BPE that looks up whole words first, as Llama 3 does."""
    tokenizer = _pairs(sorted(pre_tokenizers.ByteLevel.alphabet()), ["terrible", "great"], ignore_merges=True)
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.WhitespaceSplit(), pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)]
    )
    return _finished(tokenizer)


def byte_fallback() -> Tokenizer:
    """BPE over characters, bytes for those that it lacks, as Llama 2 has it."""
    letters = [f"<0x{byte:02X}>" for byte in range(256)] + list("\u2581 abcdefghiklmnoprstuw.</>ISW")
    tokenizer = _pairs(letters, ["\u2581terrible", "\u2581great", *SPECIALS], fuse_unk=True, byte_fallback=True)
    tokenizer.normalizer = normalizers.Sequence([normalizers.Prepend("\u2581"), normalizers.Replace(" ", "\u2581")])
    return _finished(tokenizer)


def unigram(byte_fallback: bool = False) -> Tokenizer:
    """Unigram whose special pieces have score 0, the best of all, as in XLM-R."""
    pieces = [(piece, 0.0) for piece in SPECIALS]
    if byte_fallback:
        pieces += [(f"<0x{byte:02X}>", 0.0) for byte in range(256)]
    pieces += [(f"\u2581{word}", -2.0 - index / 8) for index, word in enumerate(WORDS)]
    pieces += [(letter, -9.0 - index / 16) for index, letter in enumerate("\u2581abcdefghiklmnoprstuw.</>ISW")]
    tokenizer = Tokenizer(models.Unigram(pieces, 3, byte_fallback))
    tokenizer.normalizer = normalizers.Sequence([normalizers.NFKC(), normalizers.Replace(Regex(" {2,}"), " ")])
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    return _finished(tokenizer)


def word_pieces() -> Tokenizer:
    """Lower-case word pieces, split at spaces alone."""
    pieces = [*SPECIALS, *(word.lower() for word in WORDS), *"abcdefghijklmnopqrstuvwxyz</>."]
    pieces += [f"##{letter}" for letter in "abcdefghijklmnopqrstuvwxyz</>."]
    vocabulary = {piece: index for index, piece in enumerate(dict.fromkeys(pieces))}
    tokenizer = Tokenizer(models.WordPiece(vocabulary, unk_token="<unk>"))
    tokenizer.normalizer = normalizers.BertNormalizer()
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    return _finished(tokenizer)


def word_level() -> Tokenizer:
    """Whole words, split at spaces alone."""
    tokenizer = Tokenizer(models.WordLevel({piece: i for i, piece in enumerate(SPECIALS + WORDS)}, unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    return _finished(tokenizer)


BUILDERS: dict[str, Callable[[], Tokenizer]] = {
    "byte_level": byte_level,
    "whole_words": whole_words,
    "byte_fallback": byte_fallback,
    "unigram": unigram,
    "unigram_bytes": lambda: unigram(byte_fallback=True),
    "word_pieces": word_pieces,
    "word_level": word_level,
}


@cache
def tokenizer_of(name: str) -> Tokenizer:
    """Read-only by contract."""
    return BUILDERS[name]()


def task_of(template: str, *words: str, max_tokens: int = 4096) -> Task:
    """A task that chooses among ``words``."""
    labels = tuple(Label(str(index), word) for index, word in enumerate(words))
    return Task("test", "classification", template, labels, truncate="text", max_tokens=max_tokens)


def suffix_of(example: Example) -> np.ndarray:
    """The places of its suffix, which a row of scope "suffix" has."""
    assert example.suffix is not None
    return example.suffix


def compiled_for(tokenizer: Tokenizer, task: Task, scope: Scope = "all", size: int | None = None) -> CompiledTask:
    """``task`` for ``tokenizer`` and an embedding of ``size`` rows; masked where its template has a mask."""
    family: Family = "masked" if "{mask}" in task.template else "causal"
    size = size or tokenizer.get_vocab_size()
    return CompiledTask(task, tokenizer, family, "<mask>", "<unk>", 10**6, scope, "</s>", vocabulary_size=size)


def words_of(name: str, template: str) -> tuple[str, str]:
    """Two label words, each one token for the tokenizer ``name`` behind ``template`` or at its mask."""
    # Its normalizer puts a space before a word that stands alone.
    bare = "{mask}" in template and name == "byte_fallback"
    return ("terrible", "great") if bare else (" terrible", " great")


@cache
def compiled(name: str, template: str, max_tokens: int = 4096, scope: Scope = "suffix") -> CompiledTask:
    """A task of ``template`` for the tokenizer ``name``."""
    task = task_of(template, *words_of(name, template), max_tokens=max_tokens)
    return compiled_for(tokenizer_of(name), task, scope)
