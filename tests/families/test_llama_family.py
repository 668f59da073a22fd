"""Llama: every flag of its configuration that changes the graph, against transformers."""

from typing import Any

import pytest
from export_lab import VOCABULARY, check_against_transformers, export_in_memory, random_model
from tiers import some_slow
from transformers import LlamaConfig

from seedtune.runtime.errors import SeedTuneError

pytestmark = pytest.mark.traced

BASE: dict[str, Any] = {
    "vocab_size": VOCABULARY,
    "hidden_size": 32,
    "num_hidden_layers": 1,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "intermediate_size": 48,
    "max_position_embeddings": 64,
    "tie_word_embeddings": False,
}
LLAMA3 = {"rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0}
FLAGS: dict[str, dict[str, Any]] = {
    "grouped heads": {},
    "one key head": {"num_key_value_heads": 1},
    "all key heads": {"num_key_value_heads": 4},
    "tied head": {"tie_word_embeddings": True},
    "attention bias": {"attention_bias": True},
    "mlp bias": {"mlp_bias": True},
    "wide heads": {"head_dim": 16},
    "gelu": {"hidden_act": "gelu"},
    "linear rope": {"rope_parameters": {"rope_type": "linear", "factor": 2.0, "rope_theta": 10_000.0}},
    "llama3 rope": {"rope_parameters": LLAMA3 | {"original_max_position_embeddings": 16, "rope_theta": 10_000.0}},
    "yarn rope": {
        "rope_parameters": {
            "rope_type": "yarn",
            "factor": 4.0,
            "original_max_position_embeddings": 16,
            "rope_theta": 10_000.0,
        }
    },
    "two layers": {"num_hidden_layers": 2},
}


KEPT = ("grouped heads", "tied head", "attention bias", "wide heads", "yarn rope")


@pytest.mark.parametrize("name", some_slow(FLAGS, KEPT))
def test_every_flag_agrees_with_transformers(name: str) -> None:
    export = export_in_memory(random_model(LlamaConfig(**(BASE | FLAGS[name])), "causal"), "causal", targets="all")
    check_against_transformers(export, 1e-4)


def test_rope_that_depends_on_the_data_is_refused() -> None:
    """Dynamic scaling recomputes its frequencies from the longest position it meets."""
    rope = {"rope_type": "dynamic", "factor": 2.0, "rope_theta": 10_000.0}
    model = random_model(LlamaConfig(**(BASE | {"rope_parameters": rope})), "causal")
    with pytest.raises(SeedTuneError, match="LlamaForCausalLM cannot be traced"):
        export_in_memory(model, "causal")


def test_half_storage_agrees_with_transformers_within_its_rounding() -> None:
    model = random_model(LlamaConfig(**(BASE | {"num_hidden_layers": 2})), "causal")
    check_against_transformers(export_in_memory(model, "causal", targets="all", storage="fp16"), 2e-3)
