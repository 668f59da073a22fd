"""A tiny configuration of every architecture that scope "suffix" is tested with."""

from __future__ import annotations

from typing import Any

import transformers
from export_lab import VOCABULARY
from transformers import PretrainedConfig

from seedtune.runtime.task.structure import Family

BASE: dict[str, Any] = {
    "vocab_size": VOCABULARY,
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 48,
    "max_position_embeddings": 66,
    "pad_token_id": 1,
    "bos_token_id": 0,
    "eos_token_id": 2,
}
SPECIAL = {name: BASE[name] for name in ("vocab_size", "pad_token_id", "bos_token_id", "eos_token_id")}
GROUPED = BASE | {"num_key_value_heads": 2}
CAPPED = {"final_logit_softcapping": 2.0, "attn_logit_softcapping": 0.5, "query_pre_attn_scalar": 16}
# Case -> (architecture, family, configuration).
CASES: dict[str, tuple[str, Family, dict[str, Any]]] = {
    "llama": ("Llama", "causal", GROUPED),
    "opt": ("OPT", "causal", BASE | {"ffn_dim": 48, "word_embed_proj_dim": 16}),
    "gpt2": ("GPT2", "causal", SPECIAL | {"n_embd": 32, "n_layer": 2, "n_head": 4, "n_positions": 64}),
    "qwen2": ("Qwen2", "causal", GROUPED),
    "gemma2": ("Gemma2", "causal", GROUPED | {"head_dim": 8, "sliding_window": 4096} | CAPPED),
    "phi": ("Phi", "causal", GROUPED),
    "mistral": ("Mistral", "causal", GROUPED | {"sliding_window": 64}),
    "roberta": ("Roberta", "masked", BASE | {"type_vocab_size": 1}),
    "bert": ("Bert", "masked", BASE),
    "distilbert": ("DistilBert", "masked", SPECIAL | {"dim": 32, "n_layers": 2, "n_heads": 4, "hidden_dim": 48}),
    "electra": ("Electra", "masked", BASE | {"embedding_size": 16}),
    "albert, which shares its layers": ("Albert", "masked", BASE | {"embedding_size": 16}),
}


def config_of(case: str, **changes: Any) -> tuple[Family, PretrainedConfig]:
    """Family and configuration of a case, with ``changes``."""
    architecture, family, options = CASES[case]
    return family, getattr(transformers, f"{architecture}Config")(**(options | changes))
