"""A causal language model of the Llama kind in plain PyTorch, asked for label words: what the methods here tune.

It shares with the graphs of a bundle the checkpoint's weights and the tokens of a row, and nothing else.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from lab.accuracy.corpora import Row
from lab.models import source_of
from seedtune.exporter.checkpoint import Checkpoint, open_checkpoint
from seedtune.exporter.pipeline import compile_task
from seedtune.runtime.data.rows import rows_of
from seedtune.runtime.model.splits import encode_rows
from seedtune.runtime.task.compile import CompiledTask
from seedtune.runtime.task.example import Example
from seedtune.runtime.task.structure import Task


@dataclass(frozen=True)
class LanguageModel:
    """A checkpoint and transformers' model of it, whose parameters need no gradient.

    ``half``: products with frozen matrices are computed in bfloat16; see `HalfLinear`.
    """

    checkpoint: Checkpoint
    # transformers' classes tell type checkers nothing of what a model has.
    model: Any
    half: bool = False

    @classmethod
    def opened(cls, source: str, *, half: bool = False) -> LanguageModel:
        """The model that ``source`` names, in float32, products with the layers' matrices in bfloat16 if ``half``.

        Raises:
            SeedTuneError: it cannot be opened.
        """
        checkpoint = open_checkpoint(source_of(source))
        model = checkpoint.reference("sdpa")
        for parameter in model.parameters():
            parameter.requires_grad_(False)
        opened = cls(checkpoint, model, half)
        if half:
            for part in opened.layers.modules():
                for name, child in part.named_children():
                    if type(child) is torch.nn.Linear:
                        setattr(part, name, HalfLinear(child))
        return opened

    @property
    def layers(self) -> torch.nn.ModuleList:
        """Its layers, from the embeddings on."""
        return self.model.model.layers

    def task(self, task: Task) -> CompiledTask:
        """``task`` for this model's tokenizer; rows are split at the border of scope suffix.

        Raises:
            SeedTuneError: a label word is not one token, or the template ends with a field.
        """
        return compile_task(self.checkpoint, task, "suffix")

    def words(self, label_word_ids: Sequence[int]) -> torch.Tensor:
        """The rows of the output embedding that say the label words, [L, H]."""
        return self.model.get_output_embeddings().weight[list(label_word_ids)]

    def last_hidden(self, examples: Sequence[Example]) -> torch.Tensor:
        """The hidden state behind the last layer at every row's label position, [B, H]."""
        ids, mask = padded(examples)
        hidden = self.model.model(input_ids=ids, attention_mask=mask, use_cache=False).last_hidden_state
        return hidden[torch.arange(len(examples)), [example.position for example in examples]]


class HalfLinear(torch.nn.Linear):
    """``linear`` with its product, forward and backward, in bfloat16, the result widened again.

    Six times faster on a processor with AMX, and as precise as such models are commonly trained.
    """

    def __init__(self, linear: torch.nn.Linear) -> None:
        torch.nn.Module.__init__(self)
        self.in_features, self.out_features = linear.in_features, linear.out_features
        self.weight = torch.nn.Parameter(linear.weight.detach().bfloat16(), requires_grad=False)
        self.bias = linear.bias

    def forward(self, input: torch.Tensor) -> torch.Tensor:
        """[..., in] -> [..., out], both float32."""
        product = torch.nn.functional.linear(input.bfloat16(), self.weight).float()
        return product if self.bias is None else product + self.bias


def encoded(rows: Sequence[Row], task: CompiledTask) -> list[Example]:
    """``rows`` as tokens.

    Raises:
        SeedTuneError: a row cannot be used.
    """
    return encode_rows(rows_of(rows, task.task), task)


def padded(examples: Sequence[Example]) -> tuple[torch.Tensor, torch.Tensor]:
    """Token ids and mask, [B, T] int64, padded on the right."""
    longest = max(len(example.ids) for example in examples)
    ids, mask = np.zeros((2, len(examples), longest), np.int64)
    for row, example in enumerate(examples):
        ids[row, : len(example.ids)] = example.ids
        mask[row, : len(example.ids)] = 1
    return torch.from_numpy(ids), torch.from_numpy(mask)


def by_length(lengths: Sequence[int], order: Sequence[int], rows: int) -> list[list[int]]:
    """``order`` in groups of ``rows`` of similar length."""
    sorted_order = sorted(order, key=lambda index: lengths[index])
    return [sorted_order[start : start + rows] for start in range(0, len(sorted_order), rows)]
