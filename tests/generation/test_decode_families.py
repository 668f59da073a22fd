"""Greedy text of several families of models, token by token that of transformers' own loop."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from decode_lab import decodes
from export_lab import VOCABULARY, random_model, random_state
from transformers import Gemma2Config, GPT2Config, LlamaConfig, OPTConfig, PretrainedConfig, Qwen2Config

pytestmark = pytest.mark.traced

SIZES: dict[str, Any] = {
    "vocab_size": VOCABULARY,
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "intermediate_size": 48,
    "max_position_embeddings": 64,
}
WIDE = SIZES | {"head_dim": 8, "sliding_window": 24, "query_pre_attn_scalar": 8, "final_logit_softcapping": 5.0}
OPT_SIZES: dict[str, Any] = {
    "vocab_size": VOCABULARY,
    "hidden_size": 32,
    "word_embed_proj_dim": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "ffn_dim": 48,
    "max_position_embeddings": 64,
}
FAMILIES: dict[str, PretrainedConfig] = {
    "llama": LlamaConfig(**SIZES),
    "opt": OPTConfig(**OPT_SIZES),
    "gpt2": GPT2Config(vocab_size=VOCABULARY, n_positions=64, n_embd=32, n_layer=2, n_head=4),
    "qwen2": Qwen2Config(**SIZES, tie_word_embeddings=True),
    "gemma2": Gemma2Config(**WIDE, eos_token_id=1, bos_token_id=2),
}
COUNT = 20


# A trace takes a while, and these two have nothing that the others lack.
SLOW = {"opt", "qwen2"}


@pytest.mark.parametrize("name", [pytest.param(name, marks=[pytest.mark.slow] * (name in SLOW)) for name in FAMILIES])
def test_greedy_text_is_that_of_transformers_with_and_without_a_state(name: str) -> None:
    case = decodes(random_model(FAMILIES[name], "causal"))
    generator = np.random.default_rng(7)
    prompts = [generator.integers(5, VOCABULARY, size).tolist() for size in (1, 3)]
    state = random_state(case.layout, 5e-2)
    plain = [case.expected(prompt, COUNT, None) for prompt in prompts]
    tuned = [case.expected(prompt, COUNT, state) for prompt in prompts]
    assert plain != tuned
    assert [case.greedy(prompt, COUNT, None) for prompt in prompts] == plain
    assert [case.greedy(prompt, COUNT, state) for prompt in prompts] == tuned
    # In which calls a prompt is read makes no difference.
    assert case.greedy(prompts[1], COUNT, state, first_read=2) == tuned[1]
    if name == "gemma2":
        assert case.decoder.layout.max_tokens == 24
