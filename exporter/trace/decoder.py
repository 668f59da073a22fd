"""The whole model behind a cache of all its layers: what text is generated with, whatever the reach of the state."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import onnx_ir as ir
import torch

from seedtune.exporter.checkpoint import Checkpoint
from seedtune.exporter.trace.attention import UnsupportedAttention
from seedtune.exporter.trace.suffix_trunk import SuffixTrunk, trace_suffix
from seedtune.runtime.bundle.objective import Decoding
from seedtune.runtime.errors import SeedTuneError


@dataclass(frozen=True)
class TracedDecoder:
    """A suffix trunk from the embeddings on, every layer of which attends to a cache, and what generating needs."""

    model: ir.Model
    layout: Decoding


def trace_decoder(
    skeleton: torch.nn.Module, checkpoint: Checkpoint, trunk: SuffixTrunk | None, notice: Callable[[str], None]
) -> TracedDecoder | None:
    """The decoder of a causal model; None, and a notice, where its attention cannot be split.

    Args:
        skeleton: the model's modules.
        checkpoint: where it comes from.
        trunk: the trace that probes and evaluations run, if it has a cache; it serves where all its layers have one.
        notice: told why there is no decoder.
    """
    if checkpoint.family != "causal":
        return None
    if trunk is None or trunk.entering:
        try:
            # However short its window, a model can generate within it.
            trunk = trace_suffix(skeleton, checkpoint.family, 1)
        except (UnsupportedAttention, SeedTuneError) as error:
            reason = error.what if isinstance(error, SeedTuneError) else str(error)
            notice(f"no decode graph, so this bundle generates no text: {reason}")
            return None
    longest = min(checkpoint.max_positions, trunk.longest_tokens or checkpoint.max_positions)
    layout = Decoding(
        layers=trunk.layers,
        key_heads=trunk.key_heads,
        head_size=trunk.head_size,
        max_tokens=longest,
        end_ids=checkpoint.end_ids,
        chat_template=checkpoint.chat_template,
        special_tokens=checkpoint.special_tokens,
    )
    return TracedDecoder(trunk.model, layout)
