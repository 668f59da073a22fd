"""Text to token ids, where text of a row can never become a special token.

A copy of the tokenizer reads everything as plain text; see plain_text.py. Special tokens that the task's own fixed
text asks for, ``{mask}`` first of all, go in as stand-ins: added tokens with private contents and the same matching
flags, whose ids are replaced afterwards. Special tokens around the row (BOS, CLS, SEP) come from the post-processor,
which the copy keeps. For rows without such text the ids are the tokenizer's own.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from tokenizers import AddedToken, Encoding, Tokenizer

from seedtune.runtime.errors import SeedTuneError
from seedtune.runtime.task.native import refusing
from seedtune.runtime.task.plain_text import PRIVATE, SHIELD, PlainText, plain_text
from seedtune.runtime.task.template import MASK_FIELD, template_parts


@dataclass(frozen=True)
class RowIds:
    """The tokens of a text with the post-processor's special tokens around it.

    Attributes:
        ids: all of them.
        appended: how many of the post-processor's stand at the end; all of them around a text without tokens.
        mask_place: where the token that ``{mask}`` stands for is, or None if there is none.
    """

    ids: list[int]
    appended: int
    mask_place: int | None


class Encoder:
    """A template and a tokenizer, without any notion of labels or limits.

    Args:
        template: see template.py.
        tokenizer: copied, unless it is such a copy already; its truncation and padding settings stay as they are, and
            are off in the copy.
        mask_token: the text that ``{mask}`` stands for, or None if the template has none.
        response: a second template, for what follows the first; empty for none.

    Attributes:
        mask_id: the id of the mask token, or None.
    """

    def __init__(
        self, template: str, tokenizer: Tokenizer | PlainText, mask_token: str | None, response: str = ""
    ) -> None:
        plain = tokenizer if isinstance(tokenizer, PlainText) else plain_text(tokenizer)
        self._tokenizer = plain.tokenizer
        self._special = plain.special
        self._refused_ids = plain.refused_ids
        self._content_of = {index: content for content, (index, _) in plain.special.items()}
        self._id_of_stand_in: dict[int, int] = {}
        self._stand_ins: dict[str, str] = {}
        self.mask_id = self.special_id(mask_token)
        self._mask_text = self._stand_in(mask_token) if self.mask_id is not None and mask_token else ""
        self._parts = self._protected(template)
        self._response = self._protected(response)

    def render(self, fields: Mapping[str, str], *, to_last_field: bool = False) -> str:
        """The row as one string, with stand-ins for the template's special tokens.

        Args:
            fields: the text of each field.
            to_last_field: leave out what the template says after its last field.

        Raises:
            SeedTuneError: a field is missing, or holds the character that stand-ins are made of.
        """
        data_fields = [place for place, (_, name) in enumerate(self._parts) if name not in (None, MASK_FIELD)]
        return self._join(self._parts[: data_fields[-1] + 1] if to_last_field else self._parts, fields)

    def render_response(self, fields: Mapping[str, str]) -> str:
        """What follows the row in a completion task, as one string; errors as :meth:`render`."""
        return self._join(self._response, fields)

    def special_id(self, token: str | None) -> int | None:
        """The id of the special token ``token``, or None if it is none."""
        found = None if token is None else self._special.get(token)
        return None if found is None else found[0]

    def fixed_ids(self) -> set[int]:
        """Ids that every row has, whatever its fields: of the fixed text, the mask and the special tokens around it."""
        texts = [text for text, _ in (*self._parts, *self._response)]
        return set(self.ids(self._mask_text).ids).union(*map(self.plain_ids, texts))

    def protected(self, text: str) -> str:
        """``text`` with a stand-in for each special token that it spells, and without shields; for :meth:`ids`."""
        return self._protect(text).replace(SHIELD, "")

    def shielded(self, text: str) -> str:
        """``text`` with a shield within each special token that it spells, so that :meth:`protected` finds none.

        Raises:
            SeedTuneError: it spells a special token of one character, or a character that shields are made of.
        """
        short = [token for token in self._special if len(token) == 1]
        refused = next((token for token in (PRIVATE, SHIELD, *short) if token in text), None)
        if refused is not None:
            raise SeedTuneError(
                "the text contains a reserved character",
                value=refused,
                rule="no special token of the tokenizer that has no other spelling",
                remedy="remove it from the text",
            )
        for token in sorted(self._special, key=len, reverse=True):
            if token:
                text = text.replace(token, token[0] + SHIELD + token[1:])
        return text

    def _protected(self, template: str) -> list[tuple[str, str | None]]:
        return [(self._protect(text), name) for text, name in template_parts(template)]

    def _join(self, parts: Sequence[tuple[str, str | None]], fields: Mapping[str, str]) -> str:
        pieces = []
        for text, name in parts:
            pieces.append(text)
            if name == MASK_FIELD:
                pieces.append(self._mask_text)
            elif name is not None:
                pieces.append(_field(fields, name))
        return "".join(pieces)

    def ids(self, text: str) -> RowIds:
        """The tokens of ``text``, as :meth:`render` gave it.

        Raises:
            SeedTuneError: a field spells a special token that the tokenizer cannot read as text, or the tokenizer
                cannot encode it.
        """
        encoding = self._encode(text)
        marks = encoding.special_tokens_mask
        for index, mark in zip(encoding.ids, marks, strict=True):
            if index in self._refused_ids and not mark:
                raise SeedTuneError(
                    "the row's text holds a special token of the tokenizer, which has no other spelling for it",
                    value=self._content_of[index],
                    rule="special tokens come from the template and the tokenizer only",
                    remedy="remove it from the row",
                )
        appended = next((count for count, mark in enumerate(reversed(marks)) if not mark), len(marks))
        places = [place for place, index in enumerate(encoding.ids) if self._is_mask(index)]
        return RowIds(self._replaced(encoding.ids), appended, places[0] if places else None)

    def plain_ids(self, text: str) -> list[int]:
        """Token ids of ``text`` alone, without the post-processor's special tokens."""
        return self._replaced(self._encode(text, add_special_tokens=False).ids)

    def shortened(self, text: str, excess_tokens: int) -> str:
        """``text`` without its last ``excess_tokens`` tokens and the space before them; never the whole ``text``."""
        offsets = self._encode(text, add_special_tokens=False).offsets
        keep = len(offsets) - excess_tokens
        end = offsets[keep - 1][1] if keep > 0 else 0
        # Several tokens may share one character (the bytes of an emoji): then the cut would change nothing.
        return text[: min(end, len(text) - 1)].rstrip()

    def token_id(self, token: str) -> int | None:
        """The id of ``token``, or None."""
        found: int | None = self._tokenizer.token_to_id(token)
        return self._special[token][0] if token in self._special else found

    def tokens(self, ids: Sequence[int]) -> list[str]:
        """How the vocabulary spells ``ids``."""
        return [self._content_of.get(index) or str(self._tokenizer.id_to_token(index)) for index in ids]

    def _encode(self, text: str, add_special_tokens: bool = True) -> Encoding:
        # A panic of the library is no Exception.
        with refusing("the tokenizer fails on a text", "use the tokenizer that belongs to the model, whole"):
            try:
                return self._tokenizer.encode(text, add_special_tokens=add_special_tokens)
            except Exception as error:  # the library raises it bare, where a vocabulary has no unknown token
                raise SeedTuneError(
                    f"the tokenizer cannot encode this text ({error})",
                    value=text,
                    rule="text that the tokenizer's vocabulary covers",
                    remedy="change the text, or choose another model",
                ) from error

    def _is_mask(self, raw_id: int) -> bool:
        return self.mask_id is not None and self._id_of_stand_in.get(raw_id) == self.mask_id

    def _replaced(self, ids: list[int]) -> list[int]:
        return [self._id_of_stand_in.get(index, index) for index in ids]

    def _stand_in(self, content: str) -> str:
        """What to write for the special token ``content``; made at its first use."""
        if content not in self._stand_ins:
            index, token = self._special[content]
            text = f"{PRIVATE}{index}{PRIVATE}"
            self._tokenizer.add_tokens(
                [
                    AddedToken(
                        text,
                        single_word=token.single_word,
                        lstrip=token.lstrip,
                        rstrip=token.rstrip,
                        normalized=False,
                        special=False,
                    )
                ]
            )
            stand_in_id = self._tokenizer.token_to_id(text)
            assert stand_in_id is not None
            self._id_of_stand_in[stand_in_id] = index
            self._stand_ins[content] = text
        return self._stand_ins[content]

    def _protect(self, fixed: str) -> str:
        """``fixed`` text of the template with a stand-in for each special token in it, the longest match first."""
        longest_first = sorted(self._special, key=len, reverse=True)
        result, place = [], 0
        while place < len(fixed):
            content = next((token for token in longest_first if token and fixed.startswith(token, place)), None)
            result.append(fixed[place] if content is None else self._stand_in(content))
            place += 1 if content is None else len(content)
        return "".join(result)


def _field(fields: Mapping[str, str], name: str) -> str:
    if name not in fields:
        raise SeedTuneError(
            f"the row has no field {name!r}",
            value=sorted(fields),
            rule="every field of the template",
            remedy="add the field, or change the task",
        )
    if PRIVATE in fields[name]:
        raise SeedTuneError(
            f"the field {name!r} contains a reserved character",
            value=PRIVATE,
            rule="no private-use character U+F5EED",
            remedy="remove it from the row",
        )
    return fields[name]
