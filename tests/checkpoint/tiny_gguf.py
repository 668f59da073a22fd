"""Writes a small Llama as GGUF, the way llama.cpp's converter does: q and k permuted, matrices quantised."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from gguf import GGMLQuantizationType, GGUFWriter, quantize
from tiny_models import make_tokenizer
from transformers import PreTrainedModel

BLOCK_NAMES = {
    "input_layernorm": "attn_norm",
    "post_attention_layernorm": "ffn_norm",
    "self_attn.q_proj": "attn_q",
    "self_attn.k_proj": "attn_k",
    "self_attn.v_proj": "attn_v",
    "self_attn.o_proj": "attn_output",
    "mlp.gate_proj": "ffn_gate",
    "mlp.up_proj": "ffn_up",
    "mlp.down_proj": "ffn_down",
}
WHOLE_NAMES = {
    "model.embed_tokens": "token_embd",
    "model.norm": "output_norm",
    "lm_head": "output",
}


def write_gguf(
    path: Path,
    model: PreTrainedModel,
    kind: GGMLQuantizationType,
    *,
    without: str | None = None,
    pre_tokenizer: str = "gpt-2",
    parts: int = 1,
    also: Callable[[GGUFWriter], None] = lambda _writer: None,
) -> Path:
    """``model`` in ``path``, its matrices in blocks of ``kind``, its vectors in float32.

    Args:
        without: the GGUF name of a tensor to leave out.
        pre_tokenizer: the value of tokenizer.ggml.pre.
        parts: the value of split.count.
        also: writes further metadata and tensors.
    """
    config = model.config
    writer = GGUFWriter(path, "llama")
    writer.add_name("tiny")
    writer.add_context_length(config.max_position_embeddings)
    writer.add_embedding_length(config.hidden_size)
    writer.add_block_count(config.num_hidden_layers)
    writer.add_feed_forward_length(config.intermediate_size)
    writer.add_head_count(config.num_attention_heads)
    writer.add_head_count_kv(config.num_key_value_heads)
    writer.add_layer_norm_rms_eps(config.rms_norm_eps)
    writer.add_rope_freq_base(10_000.0)
    writer.add_vocab_size(config.vocab_size)
    _add_vocabulary(writer, pre_tokenizer)
    if parts > 1:
        writer.add_uint16("split.count", parts)
    also(writer)
    for name, value in model.named_parameters():
        stored = _gguf_name(name)
        if stored == without:
            continue
        values = value.detach().numpy()
        if ".attn_q." in stored:
            values = _permute(values, config.num_attention_heads)
        if ".attn_k." in stored:
            values = _permute(values, config.num_key_value_heads)
        used = kind if values.ndim > 1 else GGMLQuantizationType.F32
        writer.add_tensor(stored, quantize(np.ascontiguousarray(values), used), raw_dtype=used)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def write_metadata(path: Path, architecture: str, metadata: dict[str, object], tensors: tuple[str, ...] = ()) -> Path:
    """A file of ``architecture`` with ``metadata`` under its name and a vocabulary, but no weights to speak of."""
    writer = GGUFWriter(path, architecture)
    for end, value in metadata.items():
        add_entry(writer, f"{architecture}.{end}", value)
    _add_vocabulary(writer, "gpt-2")
    for name in ("token_embd.weight", *tensors):
        # As wide as any size that the metadata name: what is wider than its weights is refused.
        writer.add_tensor(name, np.zeros((1, 512), np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def add_entry(writer: GGUFWriter, name: str, value: object) -> None:
    """Metadata of the type that llama.cpp gives such a value."""
    if isinstance(value, list):
        writer.add_array(name, value)
    else:
        kinds: dict[type, Callable[[str, Any], None]] = {
            bool: writer.add_bool,
            int: writer.add_uint32,
            float: writer.add_float32,
            str: writer.add_string,
        }
        kinds[type(value)](name, value)


def _add_vocabulary(writer: GGUFWriter, pre_tokenizer: str) -> None:
    vocabulary = sorted(make_tokenizer().get_vocab().items(), key=lambda item: item[1])
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre(pre_tokenizer)
    # transformers' converter needs a merge; this one joins the two letters of "ab".
    writer.add_token_list([*(token for token, _ in vocabulary), "ab"])
    writer.add_token_types([*(3 if index < 5 else 1 for _, index in vocabulary), 1])
    writer.add_token_merges(["a b"])
    writer.add_bos_token_id(0)
    writer.add_eos_token_id(2)
    writer.add_unk_token_id(3)
    writer.add_pad_token_id(1)


def _gguf_name(name: str) -> str:
    stem, suffix = name.rsplit(".", 1)
    if stem in WHOLE_NAMES:
        return f"{WHOLE_NAMES[stem]}.{suffix}"
    _, _, layer, rest = stem.split(".", 3)
    return f"blk.{layer}.{BLOCK_NAMES[rest]}.{suffix}"


def _permute(values: np.ndarray, heads: int) -> np.ndarray:
    """llama.cpp's LlamaModel.permute: rotary halves become interleaved pairs."""
    split = values.reshape(heads, 2, values.shape[0] // heads // 2, *values.shape[1:])
    return split.swapaxes(1, 2).reshape(values.shape)
