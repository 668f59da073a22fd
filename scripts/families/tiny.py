"""A tiny configuration of any model type: sizes are shrunk by what their attributes are called.

Only whole numbers above the wanted size are changed, so that counts which are small by design stay as they are. What
this does not fit stands in `odd_ones.py`.
"""

from __future__ import annotations

import re
from typing import Any

from transformers import PretrainedConfig
from transformers.models.auto.configuration_auto import CONFIG_MAPPING

from families.architectures import Architecture
from families.odd_ones import CHANGES
from families.texts import BEGIN, END, MASK, PADDING, VOCABULARY
from seedtune.exporter.checkpoint.family import OTHER_SENSES

# Pattern of a whole attribute name -> its size; the first that fits counts.
WINDOWS = r".*(sliding_window|window_size|local_attention|window_len)"
SIZES: tuple[tuple[str, int], ...] = (
    (r"max_position_embeddings|n_positions|n_ctx|max_seq_len", 128),
    (r".*(chunk_size|chunk_length|block_size)", 32),
    (r".*experts_per_tok(en)?|.*top_?k(_experts|_group)?", 2),
    (r".*experts|.*expert_num|moe_num_.*", 4),
    (r".*(num_key_value_heads|num_kv_heads|num_attention_groups)", 2),
    (r".*(heads|n_head|num_head)", 4),
    (r"qk_rope_head_dim", 4),
    (r".*(head_dim|d_kv|head_size|d_head|dim_head|dim_key|kv_channels)", 8),
    (r".*lora_rank|.*_rank", 16),
    (r".*(hidden_layers|num_layers|n_layers?|encoder_layers|decoder_layers|nextn_predict_layers)", 2),
    (r".*(intermediate_size|ffn_dim|ffn_hidden_size|d_ff|dim_ff|dff|d_inner|n_inner|hidden_dim)", 48),
    (r"feed_forward_size|.*ffn_size|prediction_head_size|intermediate_size_mlp", 48),
    (r".*(hidden_size|d_model|n_embd|emb_dim|embed_dim|embedding_size|emb_size)|dim|lru_width|hidden_size_global", 32),
    (r".*(state_size|d_state)", 8),
    (r".*vocab_size|num_hash_buckets|.*byte_group_vocab", VOCABULARY),
)
SPECIAL = {
    "vocab_size": VOCABULARY,
    "bos_token_id": BEGIN,
    "eos_token_id": END,
    "pad_token_id": PADDING,
    "cls_token_id": BEGIN,
    "sep_token_id": END,
    "mask_token_id": MASK,
}
# Lists with an entry a layer, which follow from the number of layers where they are left out.
FOLLOWS = {"layer_types", "mlp_layer_types", "per_layer_config"}


def tiny_config(architecture: Architecture, window: int) -> PretrainedConfig:
    """The configuration of ``architecture`` with small sizes and the ids of our tokenizer.

    Args:
        architecture: which.
        window: tokens that attention with a sliding window reaches back to.

    Raises:
        Exception: whatever the configuration's class objects to.
    """
    kind = CONFIG_MAPPING[architecture.model_type]
    usual: PretrainedConfig = kind()
    if any(getattr(usual, sense, None) is not None for sense in OTHER_SENSES):
        # Refused for its other senses, whatever its size.
        return usual
    options = shrunk(usual, window) | CHANGES.get(architecture.model_type, {}) | CHANGES.get(architecture.key, {})
    config: PretrainedConfig = kind(**options)
    config.architectures = [architecture.name]
    if architecture.family == "causal":
        config.is_encoder_decoder = False
        if hasattr(config, "is_decoder"):
            config.is_decoder = True
    return config


def shrunk(config: PretrainedConfig, window: int) -> dict[str, Any]:
    """What to give the class of ``config`` for small sizes."""
    options: dict[str, Any] = {}
    for name, value in vars(config).items():
        if isinstance(value, PretrainedConfig):
            options[name] = value.to_dict() | shrunk(value, window)
            for follows in FOLLOWS:
                options[name].pop(follows, None)
        elif name in SPECIAL and (name != "mask_token_id" or value is not None):
            options[name] = SPECIAL[name]
        elif isinstance(value, int) and not isinstance(value, bool):
            size = window if re.fullmatch(WINDOWS, name) else size_of(name)
            if size is not None and value > size:
                options[name] = size
    return options


def size_of(name: str) -> int | None:
    """The wanted size of an attribute, if its name tells."""
    return next((size for pattern, size in SIZES if re.fullmatch(pattern, name)), None)
