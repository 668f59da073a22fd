"""What every source of a model offers, whatever format it is stored in.

Shapes are those of the checkpoint itself (a linear weight is [out, in]); nothing is transposed on the way. A
checkpoint knows nothing of how its tensors will be stored in a bundle.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path

import torch
from tokenizers import Tokenizer
from torch import nn
from transformers import PretrainedConfig, PreTrainedTokenizerBase

from seedtune.exporter.checkpoint.family import family_of
from seedtune.exporter.checkpoint.generation import chat_template_of, end_ids_of
from seedtune.exporter.checkpoint.limits import padding_id_of, usable_positions
from seedtune.exporter.checkpoint.loading import LOADER_ERRORS
from seedtune.exporter.checkpoint.skeleton import Attention, build_skeleton
from seedtune.exporter.checkpoint.tokenizer import clean_backend
from seedtune.runtime.errors import SeedTuneError
from seedtune.runtime.task.structure import Family


class Checkpoint(ABC):
    """One model as its author published it. Opening reads configuration and headers only, never the weights.

    Attributes:
        source: as the user named it.
        config: transformers' configuration, as stored.
        family: ``"causal"`` (predicts the next token) or ``"masked"`` (predicts the token under a mask).
    """

    source: str
    config: PretrainedConfig
    family: Family

    def __init__(self, source: str, config: PretrainedConfig) -> None:
        self.source = source
        self.config = config
        self.family = family_of(config, source)

    @property
    @abstractmethod
    def pretrained_tokenizer(self) -> PreTrainedTokenizerBase:
        """transformers' own tokenizer, loaded once."""

    @abstractmethod
    def tensors(self) -> Iterator[tuple[str, torch.Tensor]]:
        """Every parameter and persistent buffer, once, in the order and under the names of the skeleton.

        Each tensor has its stored dtype, or float32 where that cannot be kept (quantised GGUF blocks, files
        that mix float types, float64). Tied parameters appear once, under the name that comes first in
        ``skeleton().named_parameters()``. Tensors are read-only by contract: many are views of a mapped file.
        At most one is dequantised at a time, so drop each before asking for the next.

        Raises:
            SeedTuneError: before the first tensor, if weights are missing or of the wrong shape, or a file is
                damaged; at the tensor concerned, if it holds NaN or infinity.
        """

    @abstractmethod
    def reference(self, attention: Attention = "eager") -> nn.Module:
        """transformers' own model in float32, loaded by transformers alone: the oracle of all checks.

        Raises:
            SeedTuneError: as :meth:`tensors` does for missing or ill-shaped weights.
        """

    @abstractmethod
    def stored_model(self) -> nn.Module:
        """The model of :meth:`reference` with its weights in their stored type, mapped from their file where possible.

        Raises:
            SeedTuneError: as :meth:`tensors` does for missing or ill-shaped weights.
        """

    @property
    @abstractmethod
    def weight_paths(self) -> tuple[Path, ...]:
        """The files that hold the weights."""

    def skeleton(self, attention: Attention = "eager") -> nn.Module:
        """The model's modules in float32 and eval mode, without gradients, parameters never written.

        Reading or copying a parameter before :meth:`tensors` fills it yields garbage and commits its memory;
        tracing does neither. Non-persistent buffers (rotary frequencies, position ids) hold real values.

        Raises:
            SeedTuneError: the configuration describes no model that transformers can build.
        """
        try:
            return build_skeleton(self.config, self.family, attention)
        except LOADER_ERRORS as error:
            raise SeedTuneError(
                "transformers cannot build the model that the configuration describes",
                file=self.source,
                value=f"{type(error).__name__}: {(str(error).strip().splitlines() or [''])[0]}",
                rule="numbers that belong together",
                remedy="use the configuration that came with these weights",
            ) from error

    @cached_property
    def tokenizer(self) -> Tokenizer:
        """The fast tokenizer truncation and padding off; its post-processor adds special tokens."""
        return clean_backend(self.pretrained_tokenizer, self.source)

    @property
    def mask_token(self) -> str | None:
        """The text of the token that a masked model predicts under; a masked family always has one."""
        token = self.pretrained_tokenizer.mask_token
        if token is None and self.family == "masked":
            raise SeedTuneError(
                "the tokenizer of this masked language model has no mask token",
                file=self.source,
                rule="a masked model's tokenizer declares mask_token",
                remedy='add "mask_token" to tokenizer_config.json',
            )
        return str(token) if token is not None else None

    @property
    def unknown_token(self) -> str | None:
        """The text of the token that stands for what the vocabulary lacks; None in byte-level ones."""
        token: str | None = self.pretrained_tokenizer.unk_token
        return token

    @property
    def end_token(self) -> str | None:
        """The text of the token that ends a text; None where the tokenizer names none."""
        token: str | None = self.pretrained_tokenizer.eos_token
        return token

    @property
    def end_ids(self) -> tuple[int, ...]:
        """The ids that end a text, ascending: those of the configuration, and the tokenizer's."""
        return end_ids_of(self.config, self.pretrained_tokenizer)

    @property
    def chat_template(self) -> str | None:
        """The template, in Jinja, that makes one text of a conversation; None where the author gave none."""
        return chat_template_of(self.pretrained_tokenizer)

    @property
    def special_tokens(self) -> dict[str, str]:
        """Name ("bos_token") -> text of the special tokens that a chat template may name."""
        return {name: str(token) for name, token in self.pretrained_tokenizer.special_tokens_map.items()}

    @property
    def padding_id(self) -> int:
        """The id to pad with: the configuration's, else the tokenizer's, else end-of-sequence, else 0."""
        return padding_id_of(self.config, self.pretrained_tokenizer)

    @property
    def vocabulary_size(self) -> int:
        """Rows of the embedding. The tokenizer may have fewer tokens, or more."""
        return int(self.config.get_text_config().vocab_size)

    @property
    def max_positions(self) -> int:
        """How many tokens a row may have, or ``limits.UNLIMITED`` where the model declares no limit."""
        return usable_positions(self.config)
