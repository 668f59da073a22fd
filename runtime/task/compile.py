"""A task and a tokenizer, made into a function from a row's fields to token ids and the label's position.

Fixed text and fields are rendered into one string and tokenised together, so the ids are those that the model would
see from a user. Text of a row never becomes a special token; see encoder.py. No row has a token that the model's
embedding lacks.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np
from tokenizers import Tokenizer

from seedtune.runtime.errors import SeedTuneError
from seedtune.runtime.task.encoder import Encoder
from seedtune.runtime.task.example import Example
from seedtune.runtime.task.label_words import label_word_ids, require_one_mask
from seedtune.runtime.task.plain_text import PlainText
from seedtune.runtime.task.structure import Family, Scope, Task
from seedtune.runtime.task.template import has_fixed_end


class CompiledTask:
    """See the module docstring.

    Args:
        task: already resolved for the family by ``Task.for_family``.
        tokenizer: copied, so that its own truncation and padding settings stay as they are.
        family: "causal" or "masked".
        mask_token: the mask token's text, for a masked language model.
        unknown_token: the unknown token's text, if there is one.
        max_positions: tokens that the model can take.
        scope: "suffix" and "last" also split every row.
        end_token: the end-of-text token's text, which a response ends with, if there is one.
        vocabulary_size: rows of the model's embedding; a tokenizer may have more tokens.

    Attributes:
        task: the task.
        family: the family.
        label_word_ids: the token id of each label's word, in the order of the labels, L of them; none for a completion
            task.

    Raises:
        SeedTuneError: the template does not suit the family, max_tokens is more than the model takes, the tokenizer
            has no mask token, a label word is not one token that only this label has, template or label words need a
            token that the embedding lacks, or rows are to be split and the template ends with a field.
    """

    def __init__(
        self,
        task: Task,
        tokenizer: Tokenizer | PlainText,
        family: Family,
        mask_token: str | None,
        unknown_token: str | None,
        max_positions: int,
        scope: Scope = "all",
        end_token: str | None = None,
        *,
        vocabulary_size: int,
    ) -> None:
        self.task = task.for_family(family)
        self.vocabulary_size = vocabulary_size
        self.scope = scope
        self.family = family
        if task.max_tokens > max_positions:
            raise SeedTuneError(
                f"task {task.name!r} allows longer rows than the model takes",
                value=f"max_tokens = {task.max_tokens}",
                rule=f"max_tokens <= {max_positions}, the model's positions",
                remedy=f"set max_tokens = {max_positions} or less in the task file",
            )
        completes = task.kind == "completion"
        if completes and scope != "suffix":
            raise SeedTuneError(
                "a completion task is tuned at its responses only",
                value=scope,
                rule="scope suffix",
                remedy="leave --scope out; a model that cannot be split cannot be used for completion",
            )
        if scope == "suffix" and not completes and not has_fixed_end(self.task.template):
            raise SeedTuneError(
                "the template ends with a field, so there is no suffix for the state to act at",
                value=self.task.template,
                rule="fixed text after the last field, or a {mask}",
                remedy="add some to the template, or export with --scope all or --scope last",
            )
        mask = mask_token if family == "masked" else None
        self._encoder = Encoder(self.task.template, tokenizer, mask, self.task.response)
        self._end_id = self._encoder.special_id(end_token) if completes else None
        if family == "masked":
            require_one_mask(self.task, self._encoder, mask_token)
        end = set() if self._end_id is None else {self._end_id}
        self._require_embedded(self._encoder.fixed_ids() | end, "the template", "change the template")
        self.label_word_ids: tuple[int, ...] = ()
        if not completes:
            self.label_word_ids = label_word_ids(self.task, self._encoder, family, unknown_token)
            self._require_embedded(self.label_word_ids, "a label word", "choose another label word")

    def encode(self, fields: Mapping[str, str], label: int = 0) -> Example:
        """Tokenises one row.

        Args:
            fields: the text of each field of the template, and of the response; others are ignored.
            label: the place of the row's label, where it has one.

        Raises:
            SeedTuneError: a field is missing, or the row is longer than max_tokens even with the truncated field
                empty, or no token is left to read the label from, or a token is special or has no row in the
                embedding.
        """
        ids, position = self._tokenise(fields)
        whole = len(ids)
        name = self.task.truncate
        text = fields[name]
        while len(ids) > self.task.max_tokens:
            if not text:
                raise SeedTuneError(
                    f"a row is too long even without its field {name!r}",
                    value=f"{len(ids)} tokens",
                    rule=f"max_tokens = {self.task.max_tokens}",
                    remedy="raise max_tokens, or truncate another field",
                )
            text = self._encoder.shortened(text, len(ids) - self.task.max_tokens)
            ids, position = self._tokenise({**fields, name: text})
        if not ids:
            raise SeedTuneError(
                "a row has no tokens",
                value=text,
                rule="at least one token to read the label from",
                remedy="remove the row, or give the template some fixed text",
            )
        self._require_embedded(ids, "the row", "remove it from the row")
        fields = {**fields, name: text}
        if self.task.kind == "completion":
            return self._completion(fields, ids, whole - len(ids))
        suffix = None
        if self.scope == "last":
            suffix = np.array([position], np.int64)
        elif self.scope == "suffix":
            border = self._agreement(ids, self._encoder.render(fields, to_last_field=True))
            suffix = np.union1d(np.arange(border, len(ids)), [position]).astype(np.int64)
        return Example(np.array(ids, np.int64), position, label, suffix, truncated_tokens=whole - len(ids))

    def _completion(self, fields: Mapping[str, str], ids: list[int], truncated_tokens: int) -> Example:
        """A row ``ids`` of prompt and response: what follows the prompt is learnt, from the prompt's last token on."""
        border = self._agreement(ids, self._encoder.render(fields))
        if not 0 < border < len(ids):
            raise SeedTuneError(
                "a row has no prompt" if border == 0 else "a row has no response",
                value=self._encoder.render(fields) + self._encoder.render_response(fields),
                rule="at least one token of each that does not depend on the other",
                remedy="remove the row, or give the template some fixed text",
            )
        read = np.array(ids[:-1], np.int64)
        suffix = np.arange(border - 1, len(read), dtype=np.int64)
        return Example(read, len(read) - 1, 0, suffix, np.array(ids[border:], np.int64), truncated_tokens)

    def prompt(self, fields: Mapping[str, str]) -> tuple[list[int], int]:
        """The ids of a row that is to be gone on with, and the place from which on a state acts at them.

        Of a completion task that is the prompt, whose last token foresees the response; of a classification task the
        row as it is, split as for tuning. Nothing is cut off, however long it is.

        Args:
            fields: the text of each field of the template.

        Raises:
            SeedTuneError: a field is missing, or a token is special or has no row in the embedding.
        """
        row = self._encoder.ids(self._encoder.render(fields))
        ids = row.ids[: len(row.ids) - row.appended]
        self._require_embedded(ids, "the row", "remove it from the row")
        if self.scope == "suffix" and self.task.kind != "completion":
            return ids, self._agreement(ids, self._encoder.render(fields, to_last_field=True))
        return ids, self.first_place(len(ids))

    def text_ids(self, text: str, around: bool) -> list[int]:
        """The ids of ``text`` as the model's own tokenizer reads it, special tokens that it spells included.

        Args:
            text: that somebody answers for: what a stranger wrote must not spell special tokens, see
                :meth:`shielded`.
            around: with the special tokens that the tokenizer puts in front of a text.

        Raises:
            SeedTuneError: a token has no row in the embedding.
        """
        protected = self._encoder.protected(text)
        if around:
            row = self._encoder.ids(protected)
            ids = row.ids[: len(row.ids) - row.appended]
        else:
            ids = self._encoder.plain_ids(protected)
        self._require_embedded(ids, "the text", "remove it from the text")
        return ids

    def shielded(self, text: str) -> str:
        """``text`` as a part of one for :meth:`text_ids`, read as text even where it spells a special token."""
        return self._encoder.shielded(text)

    def first_place(self, count: int) -> int:
        """From where on a state acts in a text of ``count`` tokens that is no row: its last one, or with "all" 0."""
        return 0 if self.scope == "all" else max(0, count - 1)

    def _agreement(self, ids: list[int], beginning: str) -> int:
        """How many of ``ids`` are those of ``beginning`` alone: where the part that never changes ends.

        A token that holds both the end of ``beginning`` and what follows it belongs to what follows, and the ids
        before it do not depend on what follows.
        """
        alone = self._encoder.ids(beginning)
        border = 0
        for whole, apart in zip(ids, alone.ids[: len(alone.ids) - alone.appended], strict=False):
            if whole != apart:
                break
            border += 1
        return border

    def _tokenise(self, fields: Mapping[str, str]) -> tuple[list[int], int]:
        """Ids and label position of the row as it is, however long; of a completion task with its response."""
        text = self._encoder.render(fields)
        if self.task.kind == "completion":
            row = self._encoder.ids(text + self._encoder.render_response(fields))
            ids = row.ids[: len(row.ids) - row.appended] + ([self._end_id] if self._end_id is not None else [])
            return ids, len(ids) - 1
        row = self._encoder.ids(text)
        if self.family == "masked":
            if row.mask_place is None:
                raise SeedTuneError(
                    "the tokenizer does not read the template's {mask} as a mask here",
                    value=self.task.template,
                    rule="a mask token that is matched between words only stands between words",
                    remedy="put spaces around {mask}",
                )
            return row.ids, row.mask_place
        # An appended end-of-text token would stand between the template and the label word.
        ids = row.ids[: len(row.ids) - row.appended]
        return ids, len(ids) - 1

    def _require_embedded(self, ids: Iterable[int], whose: str, remedy: str) -> None:
        beyond = sorted({index for index in ids if index >= self.vocabulary_size})
        if beyond:
            raise SeedTuneError(
                f"{whose} has a token that the model's embedding lacks",
                value=self._encoder.tokens(beyond),
                rule=f"ids below {self.vocabulary_size}, the rows of the embedding; the tokenizer has more",
                remedy=f"{remedy}, or resize the model's embedding to its tokenizer",
            )
