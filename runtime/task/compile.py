"""A task and a tokenizer, made into a function from a row's fields to token ids and the label's position.

Fixed text and fields are rendered into one string and tokenised together, so the ids are those that the model would
see from a user. Special tokens come from the tokenizer's own post-processor; text of a row can never become one.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from tokenizers import Tokenizer

from seedtune.runtime.errors import SeedTuneError
from seedtune.runtime.task.definition import MASK_FIELD, Family, Task, parts

# A sample field for checking label words in their context; any plain word does.
SAMPLE = "something"


@dataclass(frozen=True)
class Encoded:
    """A tokenised row: ``ids`` [T] int64, the label's ``position``, and how many tokens truncation cost."""

    ids: npt.NDArray[np.int64]
    position: int
    truncated_tokens: int


class CompiledTask:
    """See the module docstring.

    Args:
        task: already resolved for the family.
        tokenizer: copied, so that its own truncation and padding settings stay as they are.
        family: "causal" or "masked".
        mask_token: the mask token's text, for a masked language model.
        unknown_token: the unknown token's text, if there is one.
        max_positions: tokens that the model can take.

    Attributes:
        task: the task.
        label_word_ids: the token id of each label's word, [L].

    Raises:
        SeedTuneError: max_tokens is more than the model takes, or a label word is not one reachable token.
    """

    def __init__(
        self,
        task: Task,
        tokenizer: Tokenizer,
        family: Family,
        mask_token: str | None,
        unknown_token: str | None,
        max_positions: int,
    ) -> None:
        self.task = task
        self.family = family
        self._tokenizer = Tokenizer.from_str(tokenizer.to_str())
        self._tokenizer.no_truncation()
        self._tokenizer.no_padding()
        self._parts = parts(task.template)
        self._mask_token = mask_token
        self._mask_id = self._tokenizer.token_to_id(mask_token) if mask_token else None
        self._special = self._special_tokens()
        if family == "masked" and self._mask_id is None:
            raise SeedTuneError(
                "the tokenizer has no mask token",
                value=mask_token,
                rule="a masked language model's tokenizer names one",
                remedy="use the tokenizer that belongs to the model",
            )
        if task.max_tokens > max_positions:
            raise SeedTuneError(
                f"task {task.name!r} allows longer rows than the model",
                value=task.max_tokens,
                rule=f"max_tokens <= {max_positions}",
                remedy="lower max_tokens in the task file",
            )
        self.label_word_ids = self._label_words(unknown_token)

    def encode(self, fields: Mapping[str, str]) -> Encoded:
        """Tokenises one row.

        Args:
            fields: the text of each field of the template.

        Raises:
            SeedTuneError: the fixed text alone is longer than max_tokens, or a field holds a special token's text.
        """
        for name, text in fields.items():
            self._refuse_special(name, text)
        ids, position = self._tokenise(fields)
        whole = len(ids)
        name = self.task.shortened_field
        text = fields[name]
        while len(ids) > self.task.max_tokens:
            if not text:
                raise SeedTuneError(
                    f"a row is too long even without its field {name!r}",
                    value=f"{len(ids)} tokens",
                    rule=f"max_tokens = {self.task.max_tokens}",
                    remedy="raise max_tokens, or truncate another field",
                )
            text = self._shortened(text, len(ids) - self.task.max_tokens)
            ids, position = self._tokenise({**fields, name: text})
        return Encoded(np.array(ids, np.int64), position, whole - len(ids))

    def _tokenise(self, fields: Mapping[str, str]) -> tuple[list[int], int]:
        """Ids and label position of the row as it is."""
        encoding = self._tokenizer.encode(self._render(fields))
        ids = list(encoding.ids)
        if self.family == "masked":
            return ids, ids.index(self._mask_id)
        # What the post-processor appends (an end-of-text token) would stand between the template and the label word.
        while ids and encoding.special_tokens_mask[len(ids) - 1]:
            ids.pop()
        return ids, len(ids) - 1

    def _render(self, fields: Mapping[str, str]) -> str:
        mask = {MASK_FIELD: self._mask_token or ""}
        return "".join(text + ("" if name is None else (mask | dict(fields))[name]) for text, name in self._parts)

    def _shortened(self, text: str, excess_tokens: int) -> str:
        """``text`` without its last ``excess_tokens`` tokens (at least one character shorter)."""
        offsets = self._tokenizer.encode(text, add_special_tokens=False).offsets
        keep = len(offsets) - excess_tokens
        end = offsets[keep - 1][1] if keep > 0 else 0
        return text[: min(end, len(text) - 1)].rstrip()

    def _special_tokens(self) -> dict[str, int]:
        """Text of every special token -> id."""
        added = self._tokenizer.get_added_tokens_decoder()
        return {token.content: index for index, token in added.items() if token.special}

    def _refuse_special(self, name: str, text: str) -> None:
        found = next((token for token in self._special if token in text), None)
        if found is not None:
            raise SeedTuneError(
                f"the field {name!r} contains the text of a special token",
                value=found,
                rule="no special token's text inside a field",
                remedy="remove it from the row",
            )

    def _label_words(self, unknown_token: str | None) -> tuple[int, ...]:
        """The id of each label word, checked where it will stand."""
        unknown_id = self._tokenizer.token_to_id(unknown_token) if unknown_token else None
        taken: dict[int, str] = {}
        for label in self.task.labels:
            ids = self._ids_of_word(label.word)
            shown = [self._tokenizer.id_to_token(index) for index in ids]
            if len(ids) != 1:
                raise SeedTuneError(
                    f"the label word {label.word!r} is {len(ids)} tokens for this model",
                    value=shown,
                    rule="a label word is exactly one token" + (" behind the template" if self.family == "causal" else ""),
                    remedy=self._suggestion(label.word),
                )
            if ids[0] == unknown_id or ids[0] in taken:
                other = f"the same token as {taken[ids[0]]!r}" if ids[0] in taken else "the unknown token"
                raise SeedTuneError(
                    f"the label {label.value!r} cannot be reached: its word {label.word!r} is {other}",
                    value=shown,
                    rule="every label word has a token of its own",
                    remedy="choose another label word",
                )
            taken[ids[0]] = label.word
        return tuple(taken)

    def _ids_of_word(self, word: str) -> list[int]:
        """The ids that ``word`` adds: behind the rendered template for a causal model, by itself for a masked one."""
        if self.family == "masked":
            return list(self._tokenizer.encode(word, add_special_tokens=False).ids)
        text = self._render(dict.fromkeys(self.task.fields, SAMPLE))
        before = self._tokenizer.encode(text, add_special_tokens=False).ids
        after = self._tokenizer.encode(text + word, add_special_tokens=False).ids
        common = 0
        while common < min(len(before), len(after)) and before[common] == after[common]:
            common += 1
        return list(after[common:]) if common == len(before) else list(after[max(0, common - 1) :])

    def _suggestion(self, word: str) -> str:
        """A variant of ``word`` that is one token, if leading space or case make the difference."""
        bare = word.strip()
        for variant in (f" {bare}", bare, f" {bare.lower()}", bare.lower(), f" {bare.capitalize()}", bare.capitalize()):
            if variant != word and len(self._ids_of_word(variant)) == 1:
                return f"{variant!r} is one token"
        return "choose another label word"
