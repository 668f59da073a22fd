"""What llama.cpp's converter writes for each architecture that transformers reads is accepted, and taken over."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import pytest
from tiny_gguf import write_metadata
from transformers import PretrainedConfig

from seedtune.exporter.checkpoint import open_checkpoint
from seedtune.runtime.errors import SeedTuneError

pytestmark = pytest.mark.traced

SHAPE = {
    "block_count": 2,
    "context_length": 64,
    "embedding_length": 32,
    "feed_forward_length": 64,
    "attention.head_count": 4,
    "attention.head_count_kv": 2,
}
HEADS = {"attention.key_length": 8, "attention.value_length": 8}
RMS = {"attention.layer_norm_rms_epsilon": 1e-6}
NORM = {"attention.layer_norm_epsilon": 1e-4}
BASE = {"rope.freq_base": 12_345.0}
CAPS = {"attn_logit_softcapping": 20.0, "final_logit_softcapping": 10.0}
WRITTEN: dict[str, dict[str, Any]] = {
    "llama": SHAPE | HEADS | RMS | BASE | {"vocab_size": 263, "rope.dimension_count": 8},
    "qwen2": SHAPE | RMS | BASE,
    "qwen3": SHAPE | HEADS | RMS | BASE,
    "gemma2": SHAPE | HEADS | RMS | CAPS | {"attention.sliding_window": 16},
    "gemma3": SHAPE | HEADS | RMS | BASE | {"attention.sliding_window": 16, "rope.scaling.type": "linear"}
    | {"rope.scaling.factor": 8.0, "rope.freq_base_swa": 10_000.0},
    "phi3": SHAPE | RMS | BASE | {"attention.sliding_window": 16, "rope.scaling.original_context_length": 64}
    | {"rope.dimension_count": 8},
    "stablelm": SHAPE | NORM | {"rope.dimension_count": 2, "use_parallel_residual": False},
    "starcoder2": SHAPE | NORM | BASE,
    "nemotron": SHAPE | NORM | {"vocab_size": 263, "rope.dimension_count": 4, "rope.scaling.type": "none"},
    "gpt2": {key: value for key, value in SHAPE.items() if key != "attention.head_count_kv"} | NORM,
    "bloom": SHAPE | NORM | {"attention.head_count_kv": 4},
    "falcon": SHAPE | NORM | {"attention.head_count_kv": 1, "tensor_data_layout": "jploski"},
}  # fmt: skip
# Entries of the configuration that the file has to reach.
REACHED: dict[str, dict[str, Any]] = {
    "llama": {"head_dim": 8, "rms_norm_eps": 1e-6},
    "qwen3": {"head_dim": 8},
    "gemma2": CAPS | {"sliding_window": 16, "query_pre_attn_scalar": 8},
    "gemma3": {"sliding_window": 16, "query_pre_attn_scalar": 8},
    "phi3": {"sliding_window": 16},
    "stablelm": {"layer_norm_eps": 1e-4, "use_parallel_residual": False},
    "starcoder2": {"norm_epsilon": 1e-4},
    "nemotron": {"norm_eps": 1e-4},
    "gpt2": {"layer_norm_epsilon": 1e-4},
    "falcon": {"layer_norm_epsilon": 1e-4},
}


def config_of(folder: Path, architecture: str, metadata: dict[str, Any]) -> PretrainedConfig:
    """The configuration of a file; a warning about its metadata is an error."""
    tensors = ("blk.0.ffn_norm.weight",) if architecture == "stablelm" else ()
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        return open_checkpoint(str(write_metadata(folder / "tiny.gguf", architecture, metadata, tensors))).config


@pytest.mark.parametrize("architecture", WRITTEN)
def test_what_the_converter_writes_reaches_the_configuration(tmp_path: Path, architecture: str) -> None:
    config = config_of(tmp_path, architecture, WRITTEN[architecture])
    for name, value in REACHED.get(architecture, {}).items():
        assert getattr(config, name) == pytest.approx(value, rel=1e-6), name
    if "rope.freq_base" in WRITTEN[architecture]:
        rotary = config.rope_parameters
        assert rotary.get("full_attention", rotary)["rope_theta"] == 12_345.0


def test_gemma_3_is_scaled_in_the_layers_that_see_everything(tmp_path: Path) -> None:
    rotary = config_of(tmp_path, "gemma3", WRITTEN["gemma3"]).rope_parameters
    assert rotary["full_attention"] == {"rope_type": "linear", "factor": 8.0, "rope_theta": 12_345.0}
    assert rotary["sliding_attention"] == {"rope_type": "default", "rope_theta": 10_000.0}


@pytest.mark.parametrize(
    ("architecture", "changed"),
    [
        ("qwen2", {"attention.sliding_window": 16}),
        ("gemma3", {"rope.freq_base_swa": 500.0}),
        ("gemma3", {"attention.sliding_window_pattern": [True, False]}),
        ("stablelm", {"use_parallel_residual": True}),
        ("stablelm", {"rope.dimension_count": 8}),
        ("nemotron", {"rope.dimension_count": 8}),
        ("falcon", {"attention.max_alibi_bias": 8.0}),
        ("phi3", {"rope.scaling.type": "longrope"}),
        ("phi3", {"rope.scaling.type": "yarn", "rope.scaling.factor": 4.0}),
        ("gpt2", {"attention.scale": 0.5}),
        ("bloom", {"attention.max_alibi_bias": 4.0}),
    ],
)
def test_what_the_configuration_cannot_say_is_refused(
    tmp_path: Path, architecture: str, changed: dict[str, Any]
) -> None:
    with pytest.raises(SeedTuneError) as caught:
        config_of(tmp_path, architecture, WRITTEN[architecture] | changed)
    assert isinstance(caught.value.value, dict)
    assert set(caught.value.value) <= {f"{architecture}.{end}" for end in WRITTEN[architecture] | changed}
    assert {f"{architecture}.{end}" for end in changed} & set(caught.value.value)
