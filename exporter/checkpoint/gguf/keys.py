"""Every key of a GGUF file is accounted for: read by transformers, put into the configuration, harmless, or refused.

transformers' reader picks the keys that it knows and drops the rest. The export's check cannot see what is dropped, as
its reference is made from the same configuration. So a key under the architecture's own prefix

1. has no say in what is computed, or none that the tensors' shapes would not show (:data:`HARMLESS`); or
2. says what the configuration says, which transformers read, or which this file put there (:data:`TOLD`); or
3. is of something that the configuration has no name for, and has the value that means nothing (:data:`NEUTRAL`); or
4. is refused by name, known to anybody or not.

Keys elsewhere describe the file, its tokens or its making; those that nobody knows are told of.
"""

from __future__ import annotations

import contextlib
import math
import warnings
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from gguf import dequantize
from gguf.constants import Keys
from huggingface_hub.errors import StrictDataclassError
from transformers import PretrainedConfig
from transformers.modeling_gguf_pytorch_utils import GGUF_TO_TRANSFORMERS_MAPPING

from seedtune.exporter.checkpoint.family import mixture_of_experts
from seedtune.exporter.checkpoint.gguf.header import GgufHeader
from seedtune.exporter.checkpoint.gguf.rope import parameters_of, scale_pairs, scale_positions
from seedtune.runtime.errors import SeedTuneError

# Architecture (by transformers' name) -> end of a key -> attribute of the configuration, None where it is dropped.
READ: Any = GGUF_TO_TRANSFORMERS_MAPPING["config"]
HARMLESS = frozenset(
    {
        # Shapes: a tensor that the configuration expects otherwise is refused.
        "block_count",
        "embedding_length",
        "feed_forward_length",
        "vocab_size",
        # A limit, and how an embedding model sums up.
        "context_length",
        "pooling_type",
    }
)
# What means nothing to a model that has no such thing.
NEUTRAL: dict[str, tuple[object, ...]] = {
    "tensor_data_layout": ("Meta AI original pth",),
    "use_parallel_residual": (False,),
    "attention.causal": (True,),
    "attention.max_alibi_bias": (0.0,),
    "attention.clamp_kqv": (0.0,),
    "attention.sliding_window": (0,),
    "attention.scale": (0.0,),
    "attn_logit_softcapping": (0.0,),
    "final_logit_softcapping": (0.0,),
    "router_logit_softcapping": (0.0,),
    "logit_scale": (0.0, 1.0),
    "residual_scale": (0.0, 1.0),
    "embedding_scale": (0.0, 1.0),
    "expert_count": (0,),
    "expert_used_count": (0,),
    "expert_shared_count": (0,),
    "leading_dense_block_count": (0,),
    "nextn_predict_layers": (0,),
    "n_deepstack_layers": (0,),
}
EPSILONS = ("rms_norm_eps", "layer_norm_eps", "layer_norm_epsilon", "norm_eps", "norm_epsilon")
# The attribute of a configuration that says the same: the first of these that it has.
ATTRIBUTES: dict[str, tuple[str, ...]] = {
    "attention.head_count": ("num_attention_heads",),
    "attention.head_count_kv": ("num_key_value_heads", "num_kv_heads", "num_attention_heads"),
    "attention.key_length": ("head_dim",),
    "attention.layer_norm_rms_epsilon": EPSILONS,
    "attention.layer_norm_epsilon": EPSILONS,
    "attention.sliding_window": ("sliding_window",),
    "attn_logit_softcapping": ("attn_logit_softcapping",),
    "final_logit_softcapping": ("final_logit_softcapping",),
    "use_parallel_residual": ("use_parallel_residual",),
    "shortconv.l_cache": ("conv_L_cache",),
}
# Which of them a configuration can still be told, when nothing was derived from its default yet, by type (None: all).
TOLD: dict[str, tuple[str, ...] | None] = {
    "attention.layer_norm_rms_epsilon": None,
    "attention.layer_norm_epsilon": None,
    "attention.key_length": ("llama", "mistral", "qwen2", "qwen3"),
    "attention.sliding_window": ("phi3",),
    "attn_logit_softcapping": ("gemma2",),
    "final_logit_softcapping": ("gemma2", "gemma3_text"),
}
# These rooms are read for tokens, or say who made the file and how.
OTHER_ROOMS = ("general", "tokenizer", "split", "quantize", "imatrix")
# Gemma's models of 27 billion parameters scale queries otherwise; llama.cpp knows them by their layers.
GEMMA_27B_LAYERS = {"gemma2": 46, "gemma3_text": 62}


def settle_keys(config: PretrainedConfig, header: GgufHeader, path: Path) -> None:
    """Puts into ``config`` what transformers' reader left out and ``config`` can say exactly; refuses the rest.

    Raises:
        SeedTuneError: naming the keys that change what the model computes, and their values; or that the file holds a
            mixture of experts, or no whole model.
    """
    architecture = header.text(Keys.General.ARCHITECTURE) or ""
    if (kind := header.fields.get(Keys.General.TYPE, "model")) != "model":
        raise _refusal("the file holds no whole model", path, {Keys.General.TYPE: kind})
    own = _below(header.fields | header.arrays, f"{architecture}.")
    if isinstance(positions := own.get("context_length"), int) and positions < 1:
        raise SeedTuneError(
            "the file says that a row may have no token",
            file=path,
            value=f"{architecture}.context_length {positions}",
            rule="1 or more",
            remedy="download it again, or convert it again",
        )
    experts = own.get("expert_count")
    if isinstance(experts, int) and experts > 0:
        raise mixture_of_experts(experts, architecture, str(path))
    unread = _settle_positions(config, header, own)
    _tell(config, own)
    rest = {end: value for end, value in own.items() if not end.startswith("rope.scal")}
    unread |= {end: value for end, value in rest.items() if not _said(end, value, config)}
    if unread:
        named = {end if end.endswith(".weight") else f"{architecture}.{end}": value for end, value in unread.items()}
        raise _refusal("the file says something of its model that transformers' reader ignores", path, named)
    rooms = (*OTHER_ROOMS, architecture)
    elsewhere = sorted(key for key in header.fields | header.arrays if key.partition(".")[0] not in rooms)
    if elsewhere:
        warnings.warn(f"{path}: metadata that is not read: {', '.join(elsewhere)}", stacklevel=3)


def _settle_positions(config: PretrainedConfig, header: GgufHeader, own: Mapping[str, object]) -> dict[str, object]:
    """Puts rotary positions into ``config``; returns what it cannot say."""
    rotary, base = parameters_of(config), own.get("rope.freq_base")
    if rotary is not None and isinstance(base, float):
        rotary["rope_theta"] = base
    scaling = _below(own, "rope.scaling.")
    if "rope.scale_linear" in own:
        # How linear scaling was spelled first.
        scaling.setdefault("factor", own["rope.scale_linear"])
    unread: dict[str, object] = {
        f"rope.scaling.{end}": value for end, value in scale_positions(config, scaling).items()
    }
    for tensor in header.tensors:
        if tensor.name.startswith("rope_f"):
            factors = dequantize(tensor.data, tensor.tensor_type).astype(np.float32)
            plain = bool((factors == 1.0).all())
            if not plain and not (tensor.name == "rope_freqs.weight" and scale_pairs(config, factors)):
                unread[tensor.name] = f"{factors.min():g} to {factors.max():g}"
    return unread


def _tell(config: PretrainedConfig, own: Mapping[str, object]) -> None:
    for end, kinds in TOLD.items():
        name = next(_declared(end, config), None)
        value = own.get(end)
        if name and value and (kinds is None or config.model_type in kinds):
            # A value that the configuration does not take is refused as one that it does not say.
            with contextlib.suppress(StrictDataclassError):
                setattr(config, name, value)
    if config.model_type in GEMMA_27B_LAYERS:
        large = config.num_hidden_layers == GEMMA_27B_LAYERS[config.model_type]
        config.query_pre_attn_scalar = config.hidden_size // config.num_attention_heads if large else config.head_dim


def _said(end: str, value: object, config: PretrainedConfig) -> bool:
    """Whether ``config`` says what a key ending in ``end`` says, or there is nothing to say."""
    if end in HARMLESS:
        return True
    if end == "attention.sliding_window" and not getattr(config, "sliding_window", None):
        # Nothing is hidden by a window as long as the longest row.
        longest = getattr(config, "max_position_embeddings", None) or math.inf
        return isinstance(value, int) and (value == 0 or value >= longest)
    said = [getattr(config, name) for name in _declared(end, config)][:1]
    said += _derived(end, config)
    if any(_same(value, other) for other in said):
        return True
    return not said and value in NEUTRAL.get(end, ())


def _declared(end: str, config: PretrainedConfig) -> Iterator[str]:
    """The attributes of ``config`` that a key ending in ``end`` speaks of, first what transformers reads it into.

    Only those that its class knows: a configuration takes any others too, and does nothing with them.
    """
    mapping, default = READ.get(config.model_type.removesuffix("_text"), {}), type(config)()
    for name in (mapping.get(end), *ATTRIBUTES.get(end, ())):
        if name and name != "rope_theta" and hasattr(default, name):
            yield name


def _derived(end: str, config: PretrainedConfig) -> Iterator[object]:
    """What ``config`` says of a key ending in ``end`` otherwise than by one attribute."""
    heads = getattr(config, "num_attention_heads", 0) or 1
    size = getattr(config, "head_dim", None) or getattr(config, "hidden_size", 0) // heads
    kinds = getattr(config, "layer_types", None) or ()
    one_key_head = getattr(config, "multi_query", False) and not getattr(config, "new_decoder_architecture", False)
    match end:
        case (
            "attention.key_length"
            | "attention.value_length"
            | "attention.key_length_swa"
            | "attention.value_length_swa"
        ):
            yield size
        case "attention.scale":
            yield (getattr(config, "query_pre_attn_scalar", None) or size) ** -0.5
        case "attention.max_alibi_bias" if config.model_type == "bloom":
            yield 8.0
        case "attention.sliding_window_pattern" if kinds:
            yield tuple(kind == "sliding_attention" for kind in kinds)
            yield getattr(config, "_sliding_window_pattern", None)
        case "attention.head_count_kv" if "conv" in kinds:
            yield tuple(config.num_key_value_heads if kind == "full_attention" else 0 for kind in kinds)
        case "attention.head_count_kv" if one_key_head:
            yield 1
        case "tensor_data_layout" if one_key_head:
            # Falcon's, which only moves rows where there are several key heads.
            yield "jploski"
        case "rope.dimension_count" | "rope.dimension_count_swa":
            rotary = parameters_of(config)
            yield int(size * (rotary.get("partial_rotary_factor") or 1.0)) if rotary else 0
        case "rope.freq_base":
            yield (parameters_of(config) or {}).get("rope_theta")
        case "rope.freq_base_swa":
            yield (parameters_of(config, local=True) or {}).get("rope_theta")


def _same(value: object, other: object) -> bool:
    if isinstance(value, float) and isinstance(other, int | float):
        return math.isclose(value, other, rel_tol=1e-6)
    return value == other or (not value and not other)


def _below(values: Mapping[str, object], prefix: str) -> dict[str, object]:
    """Those of ``values`` whose key begins with ``prefix``, named without it."""
    return {key.removeprefix(prefix): value for key, value in values.items() if key.startswith(prefix)}


def _refusal(what: str, path: Path, value: object) -> SeedTuneError:
    return SeedTuneError(
        what,
        file=path,
        value=value,
        rule="every key of the model's own is read, says what transformers takes anyway, or means nothing",
        remedy="use the model's safetensors instead",
    )
