"""llama.cpp itself, from its library in a wheel: a base model in GGUF, and the logits of both with an adapter.

The base model is written here, not by SeedTune, with llama.cpp's own package: an oracle shares nothing with what it
judges.
"""

from __future__ import annotations

import ctypes
import functools
import importlib.util
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import gguf
import numpy as np
import numpy.typing as npt
import pytest
from transformers import PreTrainedModel

Values = npt.NDArray[np.float32]


def write_base(path: Path, model: PreTrainedModel, architecture: str, *, neighbours: bool) -> None:
    """``model`` as GGUF in float32, without a vocabulary.

    Args:
        path: of the file.
        model: of the Llama kind.
        architecture: llama.cpp's name of it.
        neighbours: whether queries and keys are kept with row i of a head beside row i + d/2.
    """
    config: Any = model.config
    writer = gguf.GGUFWriter(path, architecture)
    writer.add_block_count(config.num_hidden_layers)
    writer.add_context_length(config.max_position_embeddings)
    writer.add_embedding_length(config.hidden_size)
    writer.add_feed_forward_length(config.intermediate_size)
    writer.add_head_count(config.num_attention_heads)
    writer.add_head_count_kv(config.num_key_value_heads)
    head_size = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
    writer.add_key_length(head_size)
    writer.add_value_length(head_size)
    writer.add_rope_dimension_count(head_size)
    writer.add_rope_freq_base(config.rope_parameters["rope_theta"])
    writer.add_layer_norm_rms_eps(config.rms_norm_eps)
    writer.add_vocab_size(config.vocab_size)
    writer.add_tokenizer_model("no_vocab")
    number = {name: each for each, name in gguf.MODEL_ARCH_NAMES.items()}[architecture]
    names = gguf.get_tensor_name_map(number, config.num_hidden_layers)
    for name, tensor in model.state_dict().items():
        if name == "lm_head.weight" and config.tie_word_embeddings:
            continue
        values = tensor.float().numpy()
        heads = {"q_proj": config.num_attention_heads, "k_proj": config.num_key_value_heads}.get(name.split(".")[-2])
        if neighbours and heads is not None:
            size = len(values) // heads
            of_a_head = [pair + half * size // 2 for pair in range(size // 2) for half in (0, 1)]
            order = [head * size + row for head in range(heads) for row in of_a_head]
            values = values[order]
        kind = name.rpartition(".")[2]
        writer.add_tensor(f"{names.get_name(name.removesuffix('.' + kind))}.{kind}", np.ascontiguousarray(values))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


class Options(ctypes.Structure):
    """Options as llama.cpp's own functions fill them in; they change between versions, so nothing looks inside.

    On x86_64 a structure of this size goes by address or on the stack, and a longer one than needed does no harm.
    """

    _fields_ = (("inside", ctypes.c_char * 2048),)


class Batch(ctypes.Structure):
    """``llama_batch``; llama.cpp fills it in."""

    _fields_ = (("tokens", ctypes.c_int32), *((name, ctypes.c_void_p) for name in "abcdef"))


@functools.cache
def library() -> Any:
    """llama.cpp as the wheel xllamacpp has it."""
    found = importlib.util.find_spec("xllamacpp")
    if found is None or found.origin is None:
        pytest.skip("llama.cpp is not installed: xllamacpp has a wheel for x86_64 only")
    llama = ctypes.CDLL(str(next(Path(found.origin).parent.glob("xllamacpp*.so"))))
    pointer, text, count = ctypes.c_void_p, ctypes.c_char_p, ctypes.c_int32
    for name, answer, asked in (
        ("llama_backend_init", None, ()),
        ("llama_model_default_params", Options, ()),
        ("llama_model_load_from_file", pointer, (text, Options)),
        ("llama_context_default_params", Options, ()),
        ("llama_init_from_model", pointer, (pointer, Options)),
        ("llama_adapter_lora_init", pointer, (pointer, text)),
        ("llama_set_adapters_lora", count, (pointer, pointer, ctypes.c_size_t, pointer)),
        ("llama_batch_get_one", Batch, (pointer, count)),
        ("llama_decode", count, (pointer, Batch)),
        ("llama_get_logits_ith", ctypes.POINTER(ctypes.c_float), (pointer, count)),
        ("llama_free", None, (pointer,)),
        ("llama_model_free", None, (pointer,)),
    ):
        function = getattr(llama, name)
        function.restype, function.argtypes = answer, asked
    llama.llama_backend_init()
    return llama


def logits(base: Path, adapter: Path | None, texts: Sequence[Sequence[int]], vocabulary: int) -> list[Values]:
    """The logits [V] behind the last token of each of ``texts``, of the model in ``base`` with the LoRA adapter."""
    llama, found = library(), []
    model = llama.llama_model_load_from_file(str(base).encode(), llama.llama_model_default_params())
    assert model, "llama.cpp does not load the base model"
    loaded = None
    if adapter is not None:
        loaded = llama.llama_adapter_lora_init(model, str(adapter).encode())
        assert loaded, "llama.cpp does not load the adapter"
    for text in texts:
        context = llama.llama_init_from_model(model, llama.llama_context_default_params())
        assert context
        if loaded is not None:
            pointers, scales = (ctypes.c_void_p * 1)(loaded), (ctypes.c_float * 1)(1.0)
            assert llama.llama_set_adapters_lora(context, pointers, 1, scales) == 0
        ids = (ctypes.c_int32 * len(text))(*text)
        assert llama.llama_decode(context, llama.llama_batch_get_one(ids, len(text))) == 0
        last = llama.llama_get_logits_ith(context, -1)
        found.append(np.ctypeslib.as_array(last, (vocabulary,)).copy())
        llama.llama_free(context)
    llama.llama_model_free(model)
    return found
