"""How a bundle at work is asked to go on with a text."""

from __future__ import annotations

import functools
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence

from tokenizers import Tokenizer

from seedtune.runtime.bundle.objective import DECODE, Decoding
from seedtune.runtime.bundle.reader import Bundle
from seedtune.runtime.errors import SeedTuneError
from seedtune.runtime.generation.decoder import Decoder
from seedtune.runtime.generation.generate import MAX_TOKENS, Generation
from seedtune.runtime.generation.prompt import Prompt, chat_prompt, field_prompt, raw_prompt, row_prompt
from seedtune.runtime.generation.sampling import Sampling
from seedtune.runtime.graphs.state import State
from seedtune.runtime.task.compile import CompiledTask


class Generating(ABC):
    """What a model needs to generate text, and how it is asked to."""

    threads: int | None
    memory_limit_bytes: int | None

    @property
    @abstractmethod
    def bundle(self) -> Bundle:
        """The verified bundle."""

    @property
    @abstractmethod
    def state(self) -> State:
        """The trainable state."""

    def generate(
        self,
        prompt: str | Mapping[str, str] | Sequence[Mapping[str, str]],
        *,
        raw: bool = False,
        max_tokens: int = MAX_TOKENS,
        temperature: float = 0.0,
        top_p: float = 1.0,
        seed: int = 0,
        stop: str | Sequence[str] = (),
    ) -> Generation:
        """A text that goes on with ``prompt``: an iterator of its pieces, whose ``text`` is the whole of it.

        Args:
            prompt: a text for the one field of the task's template, a row (its fields by name), or a conversation: a
                sequence of messages with ``role`` and ``content``, which the model's own chat template makes a text of.
            raw: take a text as it is, without the task's template.
            max_tokens: of what is generated, at most.
            temperature: 0 for the likeliest token each time; 1 for the model's own probabilities.
            top_p: draw from the fewest tokens whose probabilities sum to this share.
            seed: of the draws; the same seed gives the same text.
            stop: one text or several; the response ends in front of any of them.

        Raises:
            SeedTuneError: the bundle cannot generate, the prompt is empty or longer than the model, the model has no
                chat template, or an option is out of range.
        """
        return Generation(
            self._decoder,
            self._generation_tokenizer,
            self.state.values,
            self._prompt(prompt, raw),
            max_tokens=max_tokens,
            sampling=Sampling(temperature=temperature, top_p=top_p, seed=seed),
            stop=(stop,) if isinstance(stop, str) else tuple(stop),
        )

    def _prompt(self, prompt: str | Mapping[str, str] | Sequence[Mapping[str, str]], raw: bool) -> Prompt:
        task = self._generation_task
        if isinstance(prompt, str):
            return raw_prompt(task, prompt) if raw else field_prompt(task, prompt)
        if isinstance(prompt, Mapping):
            return row_prompt(task, prompt)
        return chat_prompt(task, self._decoding, prompt)

    @property
    def _decoding(self) -> Decoding:
        self.bundle.require_graph(DECODE)
        decoding = self.bundle.manifest.language_model.decode
        assert decoding is not None
        return decoding

    @functools.cached_property
    def _decoder(self) -> Decoder:
        if self.memory_limit_bytes is not None:
            raise SeedTuneError(
                "text is not generated within a memory limit: every token would read all weights from the disk",
                value=f"{self.memory_limit_bytes:,} bytes",
                rule="no memory limit; the weights are mapped, so the system can do without them where memory is short",
                remedy="leave the memory limit out",
            )
        return Decoder.open(self.bundle, self.threads)

    @functools.cached_property
    def _generation_task(self) -> CompiledTask:
        return self.bundle.compiled_task()

    @functools.cached_property
    def _generation_tokenizer(self) -> Tokenizer:
        return self.bundle.tokenizer()

    def _close_generation(self) -> None:
        """Frees what generating has opened."""
        for name in ("_decoder", "_generation_task", "_generation_tokenizer"):
            self.__dict__.pop(name, None)
