"""Tokens to text while they come: characters that are whole, and nothing from a stop text on.

A token may end within a character (the bytes of an emoji), and what a token spells may depend on the one before it (the
space that SentencePiece leaves out in front of a text). So the text is what decoding the tokens adds to decoding those
before them. The tokenizers library's own DecodeStream keeps an unfinished character back for good where a text ends in
one, and transformers spells it with U+FFFD; so does this.
"""

from __future__ import annotations

from collections.abc import Sequence

from tokenizers import Tokenizer

UNFINISHED = "\ufffd"
# Tokens of the prompt that the first token is read behind: enough for any space that depends on them.
BEFORE_TOKENS = 4


class TextStream:
    """The text of tokens, as far as it is certain.

    Args:
        tokenizer: of the model.
        before: the prompt's ids, whose text is not part of it.
        stops: texts that end it; they are not part of it either.

    Attributes:
        text: all that was given out.
        stopped: whether a stop text was met.
    """

    def __init__(self, tokenizer: Tokenizer, before: Sequence[int], stops: Sequence[str] = ()) -> None:
        self._tokenizer = tokenizer
        self._ids = list(before[-BEFORE_TOKENS:])
        self._certain = len(self._ids)
        self._stops = tuple(stops)
        self._pending = ""
        self.text = ""
        self.stopped = False

    def add(self, index: int) -> str:
        """Takes the token ``index`` and returns the text that is certain now."""
        self._ids.append(index)
        return self._give(self._new_text(finish=False), finish=False)

    def finish(self) -> str:
        """What is left at the end, where nothing may be waited for any longer."""
        return self._give(self._new_text(finish=True), finish=True)

    def _new_text(self, finish: bool) -> str:
        before = self._decoded(self._ids[: self._certain])
        whole = self._decoded(self._ids)
        if not finish and (whole.endswith(UNFINISHED) or not whole.startswith(before)):
            return ""
        added = whole[len(before) :]
        if added:
            # Only what the next token may depend on is decoded again.
            del self._ids[:-BEFORE_TOKENS]
            self._certain = len(self._ids)
        return added

    def _decoded(self, ids: Sequence[int]) -> str:
        return str(self._tokenizer.decode(list(ids), skip_special_tokens=True))

    def _give(self, added: str, finish: bool) -> str:
        if self.stopped:
            return ""
        self._pending += added
        places = [place for stop in self._stops if (place := self._pending.find(stop)) >= 0]
        if places:
            certain, self.stopped = min(places), True
        else:
            certain = len(self._pending) - (0 if finish else self._held_back())
        given, self._pending = self._pending[:certain], self._pending[certain:]
        self.text += given
        return given

    def _held_back(self) -> int:
        """Characters at the end that may be the beginning of a stop text."""
        longest = max((len(stop) - 1 for stop in self._stops), default=0)
        sizes = range(min(longest, len(self._pending)), 0, -1)
        return next((size for size in sizes if any(stop.startswith(self._pending[-size:]) for stop in self._stops)), 0)
