"""A state of scope "all" as an adapter of PEFT: ``adapter_config.json`` and ``adapter_model.safetensors``.

PEFT computes ``W x + (alpha / r) B A x``; with alpha = r that is a target of the state, whose A is written out. Keys
are those of PEFT's own files: ``base_model.model.NAME.lora_A.weight`` [r, in_features] and ``...lora_B.weight``
[out_features, r], float32.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from seedtune.runtime.adapters.whole_reach import require_no_head, require_whole_reach
from seedtune.runtime.bundle.low_rank import lora_a_values, lora_b_values
from seedtune.runtime.bundle.manifest import Manifest
from seedtune.runtime.files import new_folder, write_durably
from seedtune.runtime.vectors import encode_tensors

FORM = "an adapter of PEFT"
CONFIG, WEIGHTS = "adapter_config.json", "adapter_model.safetensors"
PREFIX = "base_model.model."


def write_peft_adapter(
    out: Path, manifest: Manifest, state: npt.NDArray[np.float32], *, without_head: bool = False
) -> int:
    """Writes the adapter into the new folder ``out`` and returns the bytes of its weights.

    Args:
        out: the folder.
        manifest: of the bundle.
        state: [n] float32.
        without_head: write it even where the state has a head that PEFT cannot say.

    Raises:
        SeedTuneError: the state does not act at every token, or has a head; or the folder cannot be made.
    """
    require_whole_reach(manifest, FORM)
    require_no_head(manifest, state, FORM, without_head)
    layout = manifest.state
    lora_a = lora_a_values(layout)
    tensors = {}
    for target in layout.targets:
        tensors[f"{PREFIX}{target.name}.lora_A.weight"] = lora_a[target.lora_a]
        tensors[f"{PREFIX}{target.name}.lora_B.weight"] = lora_b_values(target, state)
    raw = encode_tensors(tensors, {"format": "pt"})
    with new_folder(out) as folder:
        write_durably(folder / WEIGHTS, raw)
        write_durably(folder / CONFIG, json.dumps(_config(manifest), indent=2).encode() + b"\n")
    return len(raw)


def _config(manifest: Manifest) -> dict[str, Any]:
    model, layout = manifest.language_model.model, manifest.state
    return {
        "peft_type": "LORA",
        "task_type": "CAUSAL_LM" if model.family == "causal" else None,
        "base_model_name_or_path": model.source,
        "r": layout.rank,
        "lora_alpha": layout.rank,
        "lora_dropout": 0.0,
        "bias": "none",
        "target_modules": sorted(target.name for target in layout.targets),
        "inference_mode": True,
    }
