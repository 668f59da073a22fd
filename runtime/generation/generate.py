"""One text after a prompt, token by token, as an iterator of its pieces."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from typing import Literal

import numpy as np
import numpy.typing as npt
from tokenizers import Tokenizer

from seedtune.runtime.errors import SeedTuneError
from seedtune.runtime.generation.decoder import Decoder, Past
from seedtune.runtime.generation.prompt import Prompt, require_fitting
from seedtune.runtime.generation.sampling import Sampling, choose
from seedtune.runtime.generation.text import TextStream

MAX_TOKENS = 256
Finish = Literal["stop", "length"]


class Generation:
    """A text while it is generated: an iterator of its pieces, and what it came to.

    Args:
        decoder: the model.
        tokenizer: of the model.
        state: what acts from the prompt's ``first_place`` on, [n] float32; it is copied.
        prompt: what to go on with.
        max_tokens: of the response, at most.
        sampling: how tokens are chosen.
        stop: texts that end the response, and are not part of it.

    Attributes:
        prompt_ids: the prompt.
        ids: the tokens of the response so far, without the one that ended it.
        finish: why it ended: "stop" (the model, or a stop text) or "length" (max_tokens, or the model's limit); None
            while it goes on.
        prompt_seconds: what reading the prompt took.
        seconds: what choosing and reading the response's tokens took.

    Raises:
        SeedTuneError: the prompt is longer than the model takes, or an option is out of range.
    """

    def __init__(
        self,
        decoder: Decoder,
        tokenizer: Tokenizer,
        state: npt.NDArray[np.float32],
        prompt: Prompt,
        *,
        max_tokens: int = MAX_TOKENS,
        sampling: Sampling | None = None,
        stop: Sequence[str] = (),
    ) -> None:
        require_fitting(prompt, decoder.layout)
        if max_tokens < 1:
            raise SeedTuneError("no token may be generated", value=max_tokens, rule="1 or more", remedy="raise it")
        if not all(stop):
            raise SeedTuneError("a stop text is empty", value=list(stop), rule="some text", remedy="leave it out")
        self.prompt_ids = prompt.ids
        self.ids: list[int] = []
        self.finish: Finish | None = None
        self.prompt_seconds = self.seconds = 0.0
        self._state = state.copy()
        self._stream = TextStream(tokenizer, prompt.ids, stop)
        most = min(max_tokens, decoder.layout.max_tokens - len(prompt.ids))
        self._pieces = self._generated(decoder, prompt, most, sampling or Sampling())

    def __iter__(self) -> Iterator[str]:
        """The pieces of the text that are still to come; a piece is never empty."""
        return self._pieces

    def __next__(self) -> str:
        """The next piece."""
        return next(self._pieces)

    @property
    def text(self) -> str:
        """The whole response, generated to its end."""
        for _ in self._pieces:
            pass
        return self._stream.text

    @property
    def text_so_far(self) -> str:
        """What was given out until now."""
        return self._stream.text

    def _generated(self, decoder: Decoder, prompt: Prompt, most: int, sampling: Sampling) -> Iterator[str]:
        started = time.monotonic()
        past = decoder.begin()
        logits = self._read_prompt(decoder, past, prompt)
        self.prompt_seconds = time.monotonic() - started
        started = time.monotonic()
        finish: Finish = "length"
        while len(self.ids) < most:
            index = choose(logits, sampling, len(self.ids))
            if index in decoder.layout.end_ids:
                finish = "stop"
                break
            self.ids.append(index)
            if piece := self._stream.add(index):
                self.seconds += time.monotonic() - started
                yield piece
                started = time.monotonic()
            if self._stream.stopped:
                finish = "stop"
                break
            if len(self.ids) < most:
                logits = decoder.read(past, [index], self._state)
        self.seconds += time.monotonic() - started
        self.finish = finish
        if piece := self._stream.finish():
            yield piece

    def _read_prompt(self, decoder: Decoder, past: Past, prompt: Prompt) -> npt.NDArray[np.float32]:
        before, within = prompt.ids[: prompt.first_place], prompt.ids[prompt.first_place :]
        if before:
            decoder.read(past, before, None)
        return decoder.read(past, within, self._state)
