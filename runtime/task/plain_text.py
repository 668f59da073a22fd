"""A copy of a tokenizer that reads text as plain text only: special tokens cannot come out of it.

A tokenizer finds special tokens in two ways. Its matcher of added tokens can be told not to
(``encode_special_tokens``). But its model may hold them as pieces as well, and finds these like any other: Unigram's
special pieces have the best score of all, WordLevel, WordPiece and ``ignore_merges`` look up whole words, merges may
lead to one, and a normalizer may make one of what is none. In the copy such pieces keep their ids under private names
that no text spells, and merges that need one are left out: ``</s>`` in a text is then read like ``<div>``.

Two kinds of special token keep their name, because text that holds them has no other spelling: one character, and a
byte of ``byte_fallback``. Who reads the ids has to refuse these; so ``PlainText`` says which ids are special.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import msgspec
from tokenizers import AddedToken, Tokenizer

# A private-use character (plane 15): no text has it, and where one does, the row is refused.
PRIVATE = "\U000f5eed"
# Likewise; stands within what would spell a special token.
SHIELD = "\U000f5eee"
BYTE = re.compile("<0x[0-9A-F]{2}>")

Parts = dict[str, msgspec.Raw]


@dataclass(frozen=True)
class PlainText:
    """A tokenizer for plain text, and what is special in the one that it was made of.

    Attributes:
        tokenizer: gives text that spells no special token the ids that the original gives it; truncation and padding
            are off, the post-processor is the original's.
        special: the special tokens by their contents, each with its id: added tokens that say so. Other added tokens
            are text.
        refused_ids: the ids of ``special`` that text must not become: all but the unknown token's, which stands for
            what the vocabulary lacks.
    """

    tokenizer: Tokenizer
    special: Mapping[str, tuple[int, AddedToken]]
    refused_ids: frozenset[int]


def plain_text(tokenizer: Tokenizer) -> PlainText:
    """The copy of ``tokenizer``, which stays as it is."""
    return Described.of(tokenizer).made()


@dataclass(frozen=True)
class Described:
    """All that a copy for plain text needs to know of a tokenizer, which need not be there any more when it is made.

    Two tokenizers of 50,000 tokens take 30 MB each, so under a memory limit it matters that one goes first.

    Attributes:
        text: the tokenizer as JSON.
        special: as in :class:`PlainText`.
        unknown_id: of the unknown token, if there is one.
    """

    text: str
    special: Mapping[str, tuple[int, AddedToken]]
    unknown_id: int | None

    @classmethod
    def of(cls, tokenizer: Tokenizer) -> Described:
        """What there is to say of ``tokenizer``."""
        added = tokenizer.get_added_tokens_decoder()
        special = {token.content: (index, token) for index, token in added.items() if token.special}
        text = tokenizer.to_str()
        model = msgspec.json.decode(msgspec.json.decode(text, type=Parts)["model"], type=Parts)
        unknown = _value(model, "unk_token")
        unknown_id = _value(model, "unk_id") if unknown is None else tokenizer.token_to_id(unknown)
        return cls(text, special, unknown_id)

    def made(self) -> PlainText:
        """The copy."""
        copy = Tokenizer.from_str(self._plain())
        copy.no_truncation()
        copy.no_padding()
        copy.encode_special_tokens = True
        refused = frozenset(index for index, _ in self.special.values()) - {self.unknown_id}
        return PlainText(copy, self.special, refused)

    def _plain(self) -> str:
        parts = msgspec.json.decode(self.text, type=Parts)
        model = msgspec.json.decode(parts["model"], type=Parts)
        byte_fallback = _value(model, "byte_fallback") is True
        names = {
            content: f"{PRIVATE}special {index}{PRIVATE}"
            for content, (index, _) in self.special.items()
            if len(content) > 1 and not (byte_fallback and BYTE.fullmatch(content))
        }
        parts["model"] = _raw(_renamed(model, names))
        parts["added_tokens"] = _raw([_renamed_token(token, names) for token in _value(parts, "added_tokens") or []])
        return msgspec.json.encode(parts).decode()


def _renamed(model: Parts, names: Mapping[str, str]) -> Parts:
    """``model`` with the pieces of ``names`` under other names; as it is where it has none of them.

    What is not looked at stays bytes: vocabularies have hundreds of thousands of entries.
    """
    if _value(model, "type") == "Unigram":
        scored = msgspec.json.decode(model["vocab"], type=list[tuple[str, msgspec.Raw]])
        return model | {"vocab": _raw([(names.get(piece, piece), score) for piece, score in scored])}
    vocabulary = msgspec.json.decode(model["vocab"], type=dict[str, int])
    if names.keys().isdisjoint(vocabulary):
        return model
    changed = {"vocab": _raw({names.get(piece, piece): index for piece, index in vocabulary.items()})}
    unknown = _value(model, "unk_token")
    if unknown in names:
        changed["unk_token"] = _raw(names[unknown])
    if "merges" in model:
        start = len(_value(model, "continuing_subword_prefix") or "")
        merges = msgspec.json.decode(model["merges"], type=list[tuple[str, str]])
        kept = [pair for pair in merges if names.keys().isdisjoint((*pair, pair[0] + pair[1][start:]))]
        changed["merges"] = _raw(kept)
    return model | changed


def _renamed_token(token: dict[str, Any], names: Mapping[str, str]) -> dict[str, Any]:
    """A special token under the name of its piece, which no normalizer may change."""
    if not token["special"] or token["content"] not in names:
        return token
    return token | {"content": names[token["content"]], "normalized": False}


def _raw(value: object) -> msgspec.Raw:
    return msgspec.Raw(msgspec.json.encode(value))


def _value(parts: Parts, name: str) -> Any:
    return msgspec.json.decode(parts[name]) if name in parts else None
