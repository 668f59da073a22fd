"""OPT: every flag of its configuration that changes the graph, against transformers."""

from typing import Any

import pytest
from export_lab import VOCABULARY, check_against_transformers, export_in_memory, random_model
from tiers import some_slow
from transformers import OPTConfig

pytestmark = pytest.mark.traced

BASE: dict[str, Any] = {
    "vocab_size": VOCABULARY,
    "hidden_size": 32,
    "num_hidden_layers": 1,
    "num_attention_heads": 4,
    "ffn_dim": 48,
    "max_position_embeddings": 64,
    "word_embed_proj_dim": 32,
}
FLAGS: dict[str, dict[str, Any]] = {
    "norm first": {"do_layer_norm_before": True},
    "norm last": {"do_layer_norm_before": False},
    "narrow embeddings": {"word_embed_proj_dim": 16},
    "narrow embeddings, norm last": {"word_embed_proj_dim": 16, "do_layer_norm_before": False},
    "no bias": {"enable_bias": False},
    "norms without weights": {"layer_norm_elementwise_affine": False},
    "gelu": {"activation_function": "gelu"},
    "untied head": {"tie_word_embeddings": False},
    "no final norm": {"_remove_final_layer_norm": True},
    "two layers": {"num_hidden_layers": 2},
}


KEPT = ("two layers", "norm first", "narrow embeddings, norm last", "untied head")


@pytest.mark.parametrize("name", some_slow(FLAGS, KEPT))
def test_every_flag_agrees_with_transformers(name: str) -> None:
    export = export_in_memory(random_model(OPTConfig(**(BASE | FLAGS[name])), "causal"), "causal", targets="all")
    check_against_transformers(export, 1e-4)


def test_half_storage_agrees_with_transformers_within_its_rounding() -> None:
    model = random_model(OPTConfig(**(BASE | {"word_embed_proj_dim": 16})), "causal")
    check_against_transformers(export_in_memory(model, "causal", targets="all", storage="fp16"), 2e-3)
