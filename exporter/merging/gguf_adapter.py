"""A state of scope "all" as a LoRA adapter of llama.cpp: one GGUF file.

llama.cpp computes ``W x + (alpha / r) B A x``; with alpha = r that is a target of the state. The file says
``general.type`` = adapter, ``adapter.type`` = lora and ``adapter.lora.alpha``; A is ``NAME.weight.lora_a`` [r,
in_features] and B ``NAME.weight.lora_b`` [out_features, r], float32, under llama.cpp's own names of the matrices
(``blk.0.attn_q``). For some architectures llama.cpp keeps the rows of queries and keys in another order than
transformers, because its rotary embedding takes neighbours as pairs; their B is brought into it.
"""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path

import gguf
import numpy as np
import numpy.typing as npt
from transformers import PretrainedConfig

from seedtune.exporter.merging.merge import WEIGHT, open_base
from seedtune.runtime.bundle.low_rank import lora_a_values, lora_b_values
from seedtune.runtime.bundle.manifest import Manifest
from seedtune.runtime.errors import SeedTuneError
from seedtune.runtime.files import require_writable, write_durably


@dataclass(frozen=True)
class Form:
    """How llama.cpp keeps an architecture: under which name, and whether queries and keys have pairs as neighbours."""

    architecture: gguf.MODEL_ARCH
    pairs_are_neighbours: bool = False


# Those whose other matrices llama.cpp takes as they are; `tests/adapters/test_gguf_adapter.py` compares each with it.
FORMS = {
    "LlamaForCausalLM": Form(gguf.MODEL_ARCH.LLAMA, pairs_are_neighbours=True),
    "MistralForCausalLM": Form(gguf.MODEL_ARCH.LLAMA, pairs_are_neighbours=True),
    "Qwen2ForCausalLM": Form(gguf.MODEL_ARCH.QWEN2),
    "Qwen3ForCausalLM": Form(gguf.MODEL_ARCH.QWEN3),
}


def write_gguf_adapter(out: Path, manifest: Manifest, state: npt.NDArray[np.float32], source: str | None = None) -> int:
    """Writes the file ``out`` and returns its bytes.

    Args:
        out: the file, which is replaced.
        manifest: of the bundle; the caller has found that the state acts at every token.
        state: [n] float32.
        source: where the base model is, if not where the bundle was exported from.

    Raises:
        SeedTuneError: llama.cpp keeps this architecture in a way that is not known here, the base model is not there or
            is another one, or the file cannot be written.
    """
    form = FORMS.get(manifest.language_model.model.architecture)
    if form is None:
        raise SeedTuneError(
            "how llama.cpp keeps the matrices of this architecture is not known here",
            value=manifest.language_model.model.architecture,
            rule=", ".join(FORMS),
            remedy="use --format peft, and llama.cpp's convert_lora_to_gguf.py, or seedtune merge",
        )
    require_writable(out)
    checkpoint, _ = open_base(manifest, source)
    names = gguf.get_tensor_name_map(form.architecture, checkpoint.config.num_hidden_layers)
    lora_a = lora_a_values(manifest.state)
    with tempfile.TemporaryDirectory() as folder:
        written = Path(folder) / "adapter.gguf"
        writer = gguf.GGUFWriter(written, gguf.MODEL_ARCH_NAMES[form.architecture])
        writer.add_type(gguf.GGUFType.ADAPTER)
        writer.add_string(gguf.Keys.Adapter.TYPE, "lora")
        writer.add_float32(gguf.Keys.Adapter.LORA_ALPHA, float(manifest.state.rank))
        for target in manifest.state.targets:
            name = names.get_name(target.name + WEIGHT, try_suffixes=(WEIGHT,))
            if name is None:
                raise SeedTuneError(
                    "llama.cpp has no name for a target of the state",
                    value=target.name,
                    rule=f"a matrix of its architecture {gguf.MODEL_ARCH_NAMES[form.architecture]}",
                    remedy="use seedtune merge --format hf, and llama.cpp's convert_hf_to_gguf.py",
                )
            lora_b = lora_b_values(target, state)
            if form.pairs_are_neighbours:
                lora_b = with_pairs_as_neighbours(target.name, lora_b, checkpoint.config)
            writer.add_tensor(f"{name}.lora_a", np.ascontiguousarray(lora_a[target.lora_a], np.float32))
            writer.add_tensor(f"{name}.lora_b", np.ascontiguousarray(lora_b, np.float32))
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_tensors_to_file()
        writer.close()
        raw = written.read_bytes()
    write_durably(out, raw)
    return len(raw)


def with_pairs_as_neighbours(
    name: str, rows: npt.NDArray[np.float32], config: PretrainedConfig
) -> npt.NDArray[np.float32]:
    """``rows`` [out_features, r] of the layer ``name`` in llama.cpp's order, if it makes queries or keys.

    transformers rotates row i of a head with row i + d/2, llama.cpp row 2i with row 2i + 1.
    """
    heads = {"q_proj": config.num_attention_heads, "k_proj": config.num_key_value_heads}.get(name.rpartition(".")[2])
    if heads is None:
        return rows
    halves = rows.reshape(heads, 2, len(rows) // heads // 2, -1)
    return halves.swapaxes(1, 2).reshape(rows.shape)
