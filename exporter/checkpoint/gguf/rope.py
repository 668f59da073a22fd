"""Rotary positions of a GGUF file that transformers' reader drops, put into the configuration where that is exact.

llama.cpp turns position p and pair i by the angle ``p * base^(-2i/d) / factor``, with three variations:

1. linear: one factor for all pairs (``rope.scaling.type`` says so, or is left out).
2. yarn: pairs are scaled between not at all and wholly, and cosines and sines are multiplied by
   ``attn_factor * (1 + 0.1 ln factor)`` (arXiv 2309.00071; ``ggml_rope_yarn`` in ggml).
3. a factor for each pair, in the tensor ``rope_freqs.weight``; Llama 3 is written so.

transformers has the same three as "linear", "yarn" and "llama3".
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from copy import deepcopy
from typing import Any

import numpy as np
from transformers import PretrainedConfig
from transformers.modeling_rope_utils import ROPE_INIT_FUNCTIONS

# What llama.cpp takes where a file says nothing.
DEFAULTS: dict[str, object] = {
    "type": "linear",
    "factor": 0.0,
    "original_context_length": 0,
    "attn_factor": 1.0,
    "yarn_beta_fast": 32.0,
    "yarn_beta_slow": 1.0,
}
# Says something of the training, or what llama.cpp takes anyway.
NEUTRAL: dict[str, tuple[object, ...]] = {
    "finetuned": (True, False),
    "alpha": (0.0, 1.0),
    "yarn_log_multiplier": (0.0,),
}
# Llama 3 differs in its factor only; the file does not keep these three.
LLAMA3 = {"low_freq_factor": 1.0, "high_freq_factor": 4.0, "original_max_position_embeddings": 8_192}
RELATIVE_TOLERANCE = 1e-5


def scale_positions(config: PretrainedConfig, scaling: Mapping[str, object]) -> dict[str, object]:
    """Puts the entries ``rope.scaling.*`` of a file (named without it) into ``config``.

    Returns:
        The entries that this cannot say exactly; ``config`` is then as it was.
    """
    known = DEFAULTS | {name: value for name, value in scaling.items() if name in DEFAULTS}
    kind, factor, attention = known["type"], _number(known["factor"]) or 1.0, _number(known["attn_factor"])
    neutral = NEUTRAL | {"yarn_ext_factor": (-1.0, 1.0 if kind == "yarn" else 0.0)}
    others = {name: value for name, value in scaling.items() if name not in DEFAULTS}
    unsaid = {name: value for name, value in others.items() if value not in neutral.get(name, ())}
    # Converters write here what llama.cpp computes for itself; it is neutral when both are the same.
    magnitude = 1.0 + 0.1 * math.log(max(factor, 1.0))
    if kind == "yarn" and math.isclose(_number(unsaid.get("yarn_attn_factor", 0.0)), magnitude, rel_tol=1e-6):
        del unsaid["yarn_attn_factor"]
    if kind not in ("none", "linear", "yarn"):
        unsaid["type"] = kind
    if unsaid:
        return unsaid
    if kind == "none" or factor == 1.0:
        return {} if attention == 1.0 else {"attn_factor": attention}
    added: dict[str, Any] = {"rope_type": kind, "factor": factor}
    if kind == "yarn":
        added |= {
            "original_max_position_embeddings": known["original_context_length"] or config.max_position_embeddings,
            "attention_factor": attention * magnitude,
            "beta_fast": known["yarn_beta_fast"],
            "beta_slow": known["yarn_beta_slow"],
        }
    elif attention != 1.0:
        return dict(scaling)
    return {} if _add(config, added) else dict(scaling)


def scale_pairs(config: PretrainedConfig, factors: np.ndarray) -> bool:
    """Puts the factors of ``rope_freqs.weight`` ([d/2] float32) into ``config``, if Llama 3's rule gives the same.

    Returns:
        Whether it does; otherwise ``config`` is as it was.
    """
    if bool((factors == 1.0).all()):
        return True
    changed = deepcopy(config)
    if not _add(changed, {"rope_type": "llama3", "factor": float(factors.max())} | LLAMA3):
        return False
    plain = deepcopy(config)
    _add(plain, {"rope_type": "linear", "factor": 1.0})
    scaled, _ = ROPE_INIT_FUNCTIONS["llama3"](changed, "cpu")
    unscaled, _ = ROPE_INIT_FUNCTIONS["linear"](plain, "cpu")
    if scaled.shape != factors.shape:
        return False
    if not np.allclose((unscaled / scaled).numpy(), factors, rtol=RELATIVE_TOLERANCE, atol=0.0):
        return False
    config.rope_parameters = changed.rope_parameters
    return True


def parameters_of(config: PretrainedConfig, local: bool = False) -> dict[str, Any] | None:
    """The rotary parameters of ``config``: of layers that see everything, or those of a sliding window (``local``).

    None where it has none (ALiBi, a table of positions), or has them by other names.
    """
    parameters = getattr(config, "rope_parameters", None)
    if not isinstance(parameters, dict):
        return None
    if "rope_theta" in parameters:
        return parameters
    found = parameters.get("sliding_attention" if local else "full_attention")
    return found if isinstance(found, dict) else None


def _add(config: PretrainedConfig, added: dict[str, Any]) -> bool:
    parameters = parameters_of(config)
    if parameters is None or parameters.get("rope_type", "default") != "default":
        return False
    if hasattr(config, "original_max_position_embeddings"):
        # Phi-3 keeps it outside, and prefers that one.
        return False
    if parameters is not config.rope_parameters and added["rope_type"] != "linear":
        # Gemma 3, which llama.cpp scales in the layers that see everything, and linearly only.
        return False
    parameters |= added
    return True


def _number(value: object) -> float:
    return float(value) if isinstance(value, int | float) else math.nan
