"""Decode graphs in memory, and transformers' own generation as their oracle."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from export_lab import VOCABULARY, merged
from graph_lab import session_of
from transformers import PreTrainedModel

from seedtune.exporter.graphs.decode import build_decode
from seedtune.exporter.passes.linear_layout import normalise_linears
from seedtune.exporter.targets import lay_out, select
from seedtune.exporter.trace.decoder import TracedDecoder
from seedtune.exporter.trace.suffix_trunk import trace_suffix
from seedtune.exporter.trace.trunk import head_of
from seedtune.runtime.bundle.low_rank import lora_a_values
from seedtune.runtime.bundle.manifest import StateLayout
from seedtune.runtime.bundle.objective import Decoding
from seedtune.runtime.generation.decoder import Decoder


@dataclass
class Decodes:
    """A model of transformers, and its decode graph with the same values."""

    model: PreTrainedModel
    layout: StateLayout
    decoder: Decoder

    def greedy(self, prompt: Sequence[int], count: int, state: np.ndarray | None, first_read: int = 0) -> list[int]:
        """``count`` tokens behind ``prompt``, of which the first ``first_read`` are read in a call of their own."""
        past, found = self.decoder.begin(), list[int]()
        if first_read:
            self.decoder.read(past, prompt[:first_read], state)
        logits = self.decoder.read(past, prompt[first_read:], state)
        while True:
            found.append(int(logits.argmax()))
            if len(found) == count:
                return found
            logits = self.decoder.read(past, found[-1:], state)

    def expected(self, prompt: Sequence[int], count: int, state: np.ndarray | None) -> list[int]:
        """The same by transformers' ``generate``, with the state merged into the weights."""
        if state is None:
            return transformers_greedy(self.model, prompt, count)
        with merged(self.model, self.layout, state):
            return transformers_greedy(self.model, prompt, count)


def decodes(model: PreTrainedModel, targets: str = "all") -> Decodes:
    """The cheap route to a decode graph: traced, laid out, and bound to values in memory."""
    trunk = trace_suffix(model, "causal", 1)
    head = {id(module) for module in head_of(model).modules()}
    linears = [
        linear
        for linear in normalise_linears(trunk.model.clone().graph)
        if id(model.get_submodule(linear.name)) not in head and linear.out_features != VOCABULARY
    ]
    layout = lay_out(select(linears, targets), 4, 7)
    decoding = Decoding(trunk.layers, trunk.key_heads, trunk.head_size, trunk.longest_tokens or 64)
    graph = build_decode(TracedDecoder(trunk.model, decoding), layout, "fp32")
    tensors = {name: value.numpy() for name, value in (*model.named_buffers(), *model.named_parameters())}
    session = session_of(graph, tensors | lora_a_values(layout))
    return Decodes(model, layout, Decoder(session, decoding, layout.parameters))


def transformers_greedy(model: PreTrainedModel, prompt: Sequence[int], count: int) -> list[int]:
    """The likeliest token ``count`` times by transformers' own loop, never ending before."""
    ids = torch.tensor([list(prompt)])
    options = {"do_sample": False, "max_new_tokens": count, "eos_token_id": None, "pad_token_id": 0}
    # torch types the attributes of a module as tensors.
    generating: Any = model
    with torch.no_grad():
        found = generating.generate(input_ids=ids, attention_mask=torch.ones_like(ids), **options)
    return [int(index) for index in found[0, len(prompt) :]]
