"""A task and a tokenizer, made into a function from a row's fields to token ids and the label's position.

Fixed text and fields are rendered into one string and tokenised together, so the ids are those that the model would
see from a user. Text of a row never becomes a special token; see encoder.py.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from tokenizers import Tokenizer

from seedtune.runtime.errors import SeedTuneError
from seedtune.runtime.task.encoder import Encoder
from seedtune.runtime.task.label_words import label_word_ids
from seedtune.runtime.task.structure import Family, Scope, Task
from seedtune.runtime.task.template import count_masks, has_fixed_end


@dataclass(frozen=True, eq=False)
class Encoded:
    """A tokenised row of T tokens.

    Attributes:
        ids: [T] int64.
        position: the token whose hidden state says the label word: the last one of a causal row, the mask of a
            masked one.
        truncated_tokens: how many tokens truncation cost, 0 if the row fitted.
        suffix: [S] int64, the places where a state of scope "suffix" acts, ascending, ``position`` among them; None for
            scope "all".
    """

    ids: npt.NDArray[np.int64]
    position: int
    truncated_tokens: int
    suffix: npt.NDArray[np.int64] | None = None


class CompiledTask:
    """See the module docstring.

    Args:
        task: already resolved for the family by ``Task.for_family``.
        tokenizer: copied, so that its own truncation and padding settings stay as they are.
        family: "causal" or "masked".
        mask_token: the mask token's text, for a masked language model.
        unknown_token: the unknown token's text, if there is one.
        max_positions: tokens that the model can take.
        scope: "suffix" also splits every row.

    Attributes:
        task: the task.
        family: the family.
        label_word_ids: the token id of each label's word, in the order of the labels, L of them.

    Raises:
        SeedTuneError: the template does not suit the family, max_tokens is more than the model takes, the tokenizer
            has no mask token, a label word is not one token that only this label has, or rows are to be split and the
            template ends with a field.
    """

    def __init__(
        self,
        task: Task,
        tokenizer: Tokenizer,
        family: Family,
        mask_token: str | None,
        unknown_token: str | None,
        max_positions: int,
        scope: Scope = "all",
    ) -> None:
        self.task = task.for_family(family)
        self.scope = scope
        self.family = family
        if task.max_tokens > max_positions:
            raise SeedTuneError(
                f"task {task.name!r} allows longer rows than the model takes",
                value=f"max_tokens = {task.max_tokens}",
                rule=f"max_tokens <= {max_positions}, the model's positions",
                remedy=f"set max_tokens = {max_positions} or less in the task file",
            )
        if scope == "suffix" and not has_fixed_end(self.task.template):
            raise SeedTuneError(
                "the template ends with a field, so there is no suffix for the state to act at",
                value=self.task.template,
                rule="fixed text after the last field, or a {mask}",
                remedy="add some to the template, or export with --scope all",
            )
        self._encoder = Encoder(self.task.template, tokenizer, mask_token if family == "masked" else None)
        if family == "masked":
            _require_one_mask(self.task, self._encoder, mask_token)
        self.label_word_ids: tuple[int, ...] = label_word_ids(self.task, self._encoder, family, unknown_token)

    def encode(self, fields: Mapping[str, str]) -> Encoded:
        """Tokenises one row.

        Args:
            fields: the text of each field of the template; others are ignored.

        Raises:
            SeedTuneError: a field is missing, or the row is longer than max_tokens even with the truncated field
                empty, or no token is left to read the label from.
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
        suffix = self._suffix({**fields, name: text}, ids, position) if self.scope == "suffix" else None
        return Encoded(np.array(ids, np.int64), position, whole - len(ids), suffix)

    def _suffix(self, fields: Mapping[str, str], ids: list[int], position: int) -> npt.NDArray[np.int64]:
        """The places behind the last field, and the mask's.

        The prefix ends where tokenising the text up to the last field alone would give other ids: a token that holds
        both text and template is the suffix's, and the ids of the prefix do not depend on what follows it.
        """
        alone, appended = self._encoder.ids(self._encoder.render(fields, to_last_field=True))
        border = 0
        for whole, apart in zip(ids, alone[: len(alone) - appended], strict=False):
            if whole != apart:
                break
            border += 1
        places = np.arange(border, len(ids), dtype=np.int64)
        return np.union1d(places, [position]).astype(np.int64)

    def _tokenise(self, fields: Mapping[str, str]) -> tuple[list[int], int]:
        """Ids and label position of the row as it is, however long."""
        ids, appended = self._encoder.ids(self._encoder.render(fields))
        if self.family == "masked":
            assert self._encoder.mask_id is not None
            return ids, ids.index(self._encoder.mask_id)
        # An appended end-of-text token would stand between the template and the label word.
        ids = ids[: len(ids) - appended]
        return ids, len(ids) - 1


def _require_one_mask(task: Task, encoder: Encoder, mask_token: str | None) -> None:
    if encoder.mask_id is None or mask_token is None:
        raise SeedTuneError(
            "the tokenizer has no mask token",
            value=mask_token,
            rule="a masked language model's tokenizer has one among its special tokens",
            remedy="use the tokenizer that belongs to the model",
        )
    written = task.template.count(mask_token)
    if written + count_masks(task.template) != 1:
        raise SeedTuneError(
            f"the template of task {task.name!r} writes the mask token out besides {{mask}}",
            value=task.template,
            rule="exactly one mask",
            remedy=f"keep {{mask}} and remove {mask_token}",
        )
