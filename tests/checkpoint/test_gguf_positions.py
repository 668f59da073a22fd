"""Rotary positions of a GGUF file: turned as in the model that it was written from, and as ggml turns them."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from gguf import GGUFWriter
from gguf_lab import Write, key, opened
from tiny_gguf import add_entry
from tiny_models import fill, outputs
from transformers.modeling_rope_utils import ROPE_INIT_FUNCTIONS

from seedtune.runtime.errors import SeedTuneError

pytestmark = pytest.mark.traced

HALF_HEAD = 4


def scaling(kind: str | None, **entries: float) -> Write:
    """Writes rope.scaling.*"""

    def also(writer: GGUFWriter) -> None:
        if kind is not None:
            writer.add_string("llama.rope.scaling.type", kind)
        for name, value in entries.items():
            add_entry(writer, f"llama.rope.scaling.{name}", value)

    return also


YARN = {"factor": 4.0, "original_max_position_embeddings": 16}
CASES: dict[str, tuple[Write, dict[str, Any]]] = {
    "linear": (scaling("linear", factor=4.0), {"rope_type": "linear", "factor": 4.0}),
    "linear by default": (scaling(None, factor=4.0), {"rope_type": "linear", "factor": 4.0}),
    "linear, as it was spelled first": (
        key("llama.rope.scale_linear", 4.0),
        {"rope_type": "linear", "factor": 4.0},
    ),
    "yarn": (
        scaling("yarn", factor=4.0, original_context_length=16, finetuned=1),
        {"rope_type": "yarn", **YARN},
    ),
    "yarn of the whole context": (
        scaling("yarn", factor=2.0),
        {"rope_type": "yarn", "factor": 2.0, "original_max_position_embeddings": 40},
    ),
    "yarn with other borders": (
        scaling("yarn", factor=4.0, original_context_length=16, yarn_beta_fast=4.0, yarn_beta_slow=0.5),
        {"rope_type": "yarn", **YARN, "beta_fast": 4.0, "beta_slow": 0.5},
    ),
    "yarn with another magnitude": (
        scaling("yarn", factor=4.0, original_context_length=16, attn_factor=1.5),
        {"rope_type": "yarn", **YARN, "attention_factor": 1.5 * (1 + 0.1 * math.log(4.0))},
    ),
    "yarn whose magnitude is said again": (
        scaling("yarn", factor=4.0, original_context_length=16, yarn_attn_factor=1 + 0.1 * math.log(4.0)),
        {"rope_type": "yarn", **YARN},
    ),
    "another base": (key("llama.rope.freq_base", 500.0), {"rope_theta": 500.0}),
}


@pytest.mark.parametrize("case", CASES)
def test_positions_are_those_of_the_model_that_the_file_was_written_from(tmp_path: Path, case: str) -> None:
    also, rotary = CASES[case]
    checkpoint, model = opened(tmp_path, also, **rotary)
    expected = outputs(model)
    torch.testing.assert_close(
        outputs(fill(checkpoint.skeleton(), dict(checkpoint.tensors()))), expected, rtol=1e-5, atol=1e-6
    )
    torch.testing.assert_close(outputs(checkpoint.reference()), expected, rtol=1e-5, atol=1e-6)
    plain, _ = opened(tmp_path, lambda _writer: None)
    assert (outputs(plain.reference()) - expected).abs().max() > 1e-3


@pytest.mark.parametrize("attention", [1.0, 1.5])
@pytest.mark.parametrize(("fast", "slow"), [(32.0, 1.0), (4.0, 0.5)])
def test_yarn_turns_pairs_as_ggml_does(tmp_path: Path, fast: float, slow: float, attention: float) -> None:
    """``ggml_rope_yarn`` written down plainly: angle of each pair at position 1, and what multiplies its cosine."""
    entries = {"factor": 4.0, "original_context_length": 16, "attn_factor": attention}
    also = scaling("yarn", **entries, yarn_beta_fast=fast, yarn_beta_slow=slow)
    config = opened(tmp_path, also)[0].config
    size = 2 * HALF_HEAD

    def border(rotations: float) -> float:
        return size * math.log(16 / (rotations * 2 * math.pi)) / (2 * math.log(10_000.0))

    low, high = max(0, math.floor(border(fast))), min(size - 1, math.ceil(border(slow)))
    angles = []
    for pair in range(HALF_HEAD):
        plain = 10_000.0 ** (-2 * pair / size)
        mix = 1 - min(1, max(0, (pair - low) / max(0.001, high - low)))
        angles.append(plain / 4.0 * (1 - mix) + plain * mix)
    found, magnitude = ROPE_INIT_FUNCTIONS["yarn"](config, "cpu")
    np.testing.assert_allclose(found.numpy(), angles, rtol=1e-6)
    assert magnitude == pytest.approx(attention * (1 + 0.1 * math.log(4.0)), rel=1e-6)


def llama3_factors(factor: float, size: int) -> np.ndarray:
    """What llama.cpp's converter writes into rope_freqs.weight for Llama 3."""
    factors = []
    for pair in range(size // 2):
        wavelength = 2 * math.pi * 500_000.0 ** (2 * pair / size)
        smooth = (8_192 / wavelength - 1.0) / (4.0 - 1.0)
        factors.append(1 / ((1 - min(1, max(0, smooth))) / factor + min(1, max(0, smooth))))
    return np.array(factors, dtype=np.float32)


def factors(values: np.ndarray) -> Write:
    def also(writer: GGUFWriter) -> None:
        key("llama.rope.freq_base", 500_000.0)(writer)
        writer.add_tensor("rope_freqs.weight", values)

    return also


def test_factors_of_llama_3_are_read(tmp_path: Path) -> None:
    rotary = {
        "rope_type": "llama3",
        "rope_theta": 500_000.0,
        "factor": 32.0,
        "low_freq_factor": 1.0,
        "high_freq_factor": 4.0,
        "original_max_position_embeddings": 8_192,
    }
    checkpoint, model = opened(tmp_path, factors(llama3_factors(32.0, 2 * HALF_HEAD)), **rotary)
    torch.testing.assert_close(outputs(checkpoint.reference()), outputs(model), rtol=1e-5, atol=1e-6)
    assert len(dict(checkpoint.tensors())) == len(list(model.parameters()))


def test_factors_of_one_mean_nothing(tmp_path: Path) -> None:
    checkpoint, model = opened(tmp_path, factors(np.ones(HALF_HEAD, np.float32)), rope_theta=500_000.0)
    torch.testing.assert_close(outputs(checkpoint.reference()), outputs(model), rtol=1e-5, atol=1e-6)


def test_other_factors_are_refused(tmp_path: Path) -> None:
    with pytest.raises(SeedTuneError, match=r"rope_freqs\.weight.*1 to 9"):
        opened(tmp_path, factors(np.array([1, 2, 5, 9], np.float32)))


def test_factors_for_long_texts_are_refused(tmp_path: Path) -> None:
    def also(writer: GGUFWriter) -> None:
        writer.add_tensor("rope_factors_long.weight", np.array([1, 2, 5, 9], np.float32))

    with pytest.raises(SeedTuneError, match=r"rope_factors_long\.weight"):
        opened(tmp_path, also)
