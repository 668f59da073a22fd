"""Small tokenizers of each kind: byte-level with and without an end token, and word pieces."""

from __future__ import annotations

import pytest
from tokenizers import AddedToken, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors

PHRASES = (" negative", " positive", " terrible", " great")


def _byte_level(template: str) -> Tokenizer:
    specials = ["<s>", "<pad>", "</s>", "<unk>"]
    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    merges: list[tuple[str, str]] = []
    made: list[str] = []
    for phrase in PHRASES:
        word = "\u0120" + phrase[1:]
        for end in range(1, len(word)):
            if word[: end + 1] not in made:
                merges.append((word[:end], word[end]))
                made.append(word[: end + 1])
    vocabulary = {token: index for index, token in enumerate([*specials, *letters, *made, "<mask>"])}
    tokenizer = Tokenizer(models.BPE(vocab=vocabulary, merges=merges, unk_token="<unk>"))
    tokenizer.add_special_tokens([*specials, AddedToken("<mask>", lstrip=True, special=True)])
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.post_processor = processors.TemplateProcessing(single=template, special_tokens=[("<s>", 0), ("</s>", 2)])
    return tokenizer


@pytest.fixture(scope="session")
def causal_tokenizer() -> Tokenizer:
    """Byte-level BPE with ``<s>`` before a text."""
    return _byte_level("<s> $A")


@pytest.fixture(scope="session")
def roberta_tokenizer() -> Tokenizer:
    """Byte-level BPE with ``<s>`` before a text, ``</s>`` behind it, and a mask that takes the space before it."""
    return _byte_level("<s> $A </s>")


@pytest.fixture(scope="session")
def bert_tokenizer() -> Tokenizer:
    """Lower-case word pieces between ``[CLS]`` and ``[SEP]``."""
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "a", "film", "great", "terrible", "it", "was", "fine"]
    words += [".", "[", "]", "mask", "review", "sentiment", ":"]
    tokenizer = Tokenizer(models.WordPiece({word: index for index, word in enumerate(words)}, unk_token="[UNK]"))
    tokenizer.add_special_tokens(words[:5])
    tokenizer.normalizer = normalizers.BertNormalizer()
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    return tokenizer
