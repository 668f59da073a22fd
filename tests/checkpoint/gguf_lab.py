"""A GGUF file with one thing more in it, opened, and the model that it was written from."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from gguf import GGMLQuantizationType, GGUFWriter
from tiny_gguf import add_entry, write_gguf
from tiny_models import SHAPE, randomise
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedModel

from seedtune.exporter.checkpoint import open_checkpoint
from seedtune.exporter.checkpoint.checkpoint import Checkpoint

F32 = GGMLQuantizationType.F32
Write = Callable[[GGUFWriter], None]


def opened(folder: Path, also: Write, **rotary: Any) -> tuple[Checkpoint, PreTrainedModel]:
    """A GGUF with ``also`` in it, opened, and the model that it was written from."""
    config = LlamaConfig(
        **SHAPE,
        intermediate_size=64,
        num_key_value_heads=2,
        tie_word_embeddings=True,
        rope_parameters={"rope_theta": 10_000.0, "rope_type": "default"} | rotary,
    )
    # Large enough for attention to tell positions apart.
    model = randomise(LlamaForCausalLM(config), 0.5)
    return open_checkpoint(str(write_gguf(folder / "tiny.gguf", model, F32, also=also))), model


def key(name: str, value: object) -> Write:
    """Writes one key."""
    return lambda writer: add_entry(writer, name, value)
