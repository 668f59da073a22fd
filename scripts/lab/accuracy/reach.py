"""The model inside its reach only: the last tokens of a row through the upper layers, everything else from `Frozen`.

The layers are transformers' own, called with the entering states as embeddings and the kept keys and values as the
past. So a step costs one token (or the suffix) times N layers, forward and backward.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from transformers.cache_utils import DynamicCache

from lab.accuracy.frozen import Frozen
from lab.accuracy.language_model import LanguageModel
from seedtune.runtime.task.example import Example


class Reach:
    """The upper layers of ``model`` at the last tokens of ``examples``.

    Args:
        model: whose layers are used, and changed by whoever attaches low-rank terms to ``layers``.
        kept: of ``examples``.
        examples: the rows.
        layers: how many, counted from the top; what enters the first of them must have been kept.
        suffix: all tokens of each row's suffix, instead of the last one.

    Attributes:
        layers: the layers in the reach.
    """

    def __init__(
        self, model: LanguageModel, kept: Frozen, examples: Sequence[Example], layers: int, *, suffix: bool = False
    ) -> None:
        self.kept, self.examples = kept, examples
        self.first = len(model.layers) - layers
        self.layers = model.layers[self.first :]
        self._upper: Any = copy.copy(model.model.model)
        self._upper._modules = dict(self._upper._modules) | {"layers": self.layers}
        if getattr(self._upper.config, "layer_types", None):
            # What kind of attention a layer has is looked up by its place.
            self._upper.config = copy.copy(self._upper.config)
            self._upper.config.layer_types = self._upper.config.layer_types[self.first :]
        begins = [int(example.suffix[0]) if suffix and example.suffix is not None else -1 for example in examples]
        self.begins = [len(one.ids) - 1 if begin < 0 else begin for begin, one in zip(begins, examples, strict=True)]
        # The past is looked up by the layer's own number; a cache of the upper layers counts from 0.
        self._numbers: list[Any] = [layer.self_attn for layer in self.layers]

    def last_hidden(self, rows: Sequence[int]) -> torch.Tensor:
        """The hidden state behind the last layer at the label position of ``rows``, [B, H]."""
        begins = np.array([self.begins[row] for row in rows])
        counts = np.array([len(self.examples[row].ids) for row in rows]) - begins
        context, suffix = int(begins.max()), int(counts.max())
        entering = np.zeros((len(rows), suffix, self.kept.last.shape[-1]), np.float32)
        mask = np.zeros((len(rows), context + suffix), np.int64)
        positions = begins[:, None] + np.arange(suffix)
        heads, size = self.kept.keys.shape[2:]
        past = np.zeros((2, len(self.layers), len(rows), context, heads, size), np.float32)
        own = slice(self.first - self.kept.lowest, None)
        for place, row in enumerate(rows):
            start, begin, count = int(self.kept.starts[row]), begins[place], counts[place]
            entering[place, :count] = self.kept.entering[self.first][start + begin : start + begin + count]
            mask[place, :begin] = mask[place, context : context + count] = 1
            past[0, :, place, :begin] = self.kept.keys[own, start : start + begin]
            past[1, :, place, :begin] = self.kept.values[own, start : start + begin]
        hidden = self._forward(*map(torch.from_numpy, (entering, mask, positions, past)))
        return hidden[torch.arange(len(rows)), counts - 1]

    def _forward(
        self, entering: torch.Tensor, mask: torch.Tensor, positions: torch.Tensor, past: torch.Tensor
    ) -> torch.Tensor:
        cache = DynamicCache()
        if past.shape[3]:
            for layer, (keys, values) in enumerate(past.transpose(3, 4).transpose(0, 1)):
                cache.update(keys, values, layer)
        numbers = [attention.layer_idx for attention in self._numbers]
        try:
            for number, attention in enumerate(self._numbers):
                attention.layer_idx = number
            return self._upper(
                inputs_embeds=entering, attention_mask=mask, position_ids=positions, past_key_values=cache
            ).last_hidden_state
        finally:
            for number, attention in zip(numbers, self._numbers, strict=True):
                attention.layer_idx = number
