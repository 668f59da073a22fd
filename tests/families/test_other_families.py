"""Architectures that nobody wrote code for: each agrees with transformers or is refused, and never a wrong graph."""

import contextlib
from typing import Any

import pytest
import transformers
from export_lab import VOCABULARY, check_against_transformers, export_in_memory, random_model
from tiers import some_slow

from seedtune.runtime.errors import SeedTuneError
from seedtune.runtime.task.structure import Family

pytestmark = pytest.mark.traced

BASE: dict[str, Any] = {
    "vocab_size": VOCABULARY,
    "hidden_size": 32,
    "num_hidden_layers": 1,
    "num_attention_heads": 4,
    "intermediate_size": 48,
    "max_position_embeddings": 64,
    "pad_token_id": 1,
    "bos_token_id": 0,
    "eos_token_id": 2,
}
GROUPED = {"num_key_value_heads": 2}
SMALL_GPT2 = {"n_embd": 32, "n_layer": 1, "n_head": 4, "n_positions": 64}
CASES: dict[str, tuple[Family, dict[str, Any]]] = {
    "GPT2": ("causal", SMALL_GPT2),
    "GPTNeoX": ("causal", {}),
    "Qwen2": ("causal", GROUPED),
    "Qwen3": ("causal", GROUPED | {"head_dim": 8}),
    "Gemma": ("causal", GROUPED | {"head_dim": 8}),
    "Gemma2": ("causal", GROUPED | {"head_dim": 8, "final_logit_softcapping": 0.5, "sliding_window": 4}),
    "Phi": ("causal", GROUPED),
    "Phi3": ("causal", GROUPED),
    "Mistral": ("causal", GROUPED | {"sliding_window": 4}),
    "Granite": ("causal", GROUPED | {"logits_scaling": 4.0, "embedding_multiplier": 3.0}),
    "Cohere": ("causal", GROUPED | {"logit_scale": 0.25}),
    "Bloom": ("causal", {"n_layer": 1, "n_head": 4}),
    "Falcon": ("causal", {}),
    "DistilBert": ("masked", {"dim": 32, "n_layers": 1, "n_heads": 4, "hidden_dim": 48}),
    "Electra": ("masked", {"embedding_size": 16}),
    "Albert": ("masked", {"embedding_size": 16, "num_hidden_layers": 2}),  # both layers share their weights
    "XLMRoberta": ("masked", {}),
    "XLM": ("masked", {"emb_dim": 32, "n_layers": 1, "n_heads": 4}),
    "ModernBert": ("masked", {"cls_token_id": 0, "sep_token_id": 2}),
}
# These have to work; the others may be refused instead.
SUPPORTED = {"GPT2", "GPTNeoX", "Qwen2", "Gemma2", "Phi", "Mistral", "DistilBert", "XLMRoberta", "XLM"}


# The others are compared in test_suffix_families.py too.
KEPT = ("Bloom", "Cohere", "Falcon", "GPTNeoX", "Granite", "ModernBert", "Gemma", "Phi3", "Qwen3", "XLM")


@pytest.mark.parametrize("name", some_slow(CASES, KEPT))
def test_an_architecture_agrees_with_transformers_or_is_refused(name: str) -> None:
    family, options = CASES[name]
    common = {} if name in ("GPT2", "Bloom", "DistilBert", "XLM") else BASE
    special = {key: BASE[key] for key in ("vocab_size", "pad_token_id", "bos_token_id", "eos_token_id")}
    config = getattr(transformers, f"{name}Config")(**(common | special | options))
    if name == "Bloom":
        config.hidden_size = 32
    model = random_model(config, family)
    export = None
    with contextlib.ExitStack() as stack:
        if name not in SUPPORTED:
            stack.enter_context(contextlib.suppress(SeedTuneError))
        export = export_in_memory(model, family, targets="all" if name == "Albert" else "default")
        export.graph("probe")
        export.graph("eval")
        stack.close()
        check_against_transformers(export, 2e-4)
    assert export is not None or name not in SUPPORTED
