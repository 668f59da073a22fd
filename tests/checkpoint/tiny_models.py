"""Small random models, one per family, and how a test saves, fills and runs them."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors
from torch import nn
from transformers import (
    BertConfig,
    BertForMaskedLM,
    LlamaConfig,
    LlamaForCausalLM,
    OPTConfig,
    OPTForCausalLM,
    PreTrainedModel,
    PreTrainedTokenizerFast,
    RobertaConfig,
    RobertaForMaskedLM,
)

VOCABULARY = 300
SHAPE: dict[str, Any] = {
    "vocab_size": VOCABULARY,
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "max_position_embeddings": 40,
}
MAKERS: dict[str, Callable[[], PreTrainedModel]] = {
    "llama_tied": lambda: LlamaForCausalLM(
        LlamaConfig(**SHAPE, intermediate_size=64, num_key_value_heads=2, tie_word_embeddings=True)
    ),
    "llama_untied": lambda: LlamaForCausalLM(
        LlamaConfig(**SHAPE, intermediate_size=64, num_key_value_heads=2, tie_word_embeddings=False)
    ),
    "opt": lambda: OPTForCausalLM(OPTConfig(**SHAPE, ffn_dim=64, word_embed_proj_dim=32)),
    "roberta": lambda: RobertaForMaskedLM(RobertaConfig(**SHAPE, intermediate_size=64, type_vocab_size=1)),
    "bert": lambda: BertForMaskedLM(BertConfig(**SHAPE, intermediate_size=64)),
}


def make_model(name: str) -> PreTrainedModel:
    """The model ``name``, every parameter random: constant biases and norms would hide a mix-up."""
    return randomise(MAKERS[name]())


def randomise(model: PreTrainedModel, scale: float = 0.1) -> PreTrainedModel:
    """``model``, every parameter random around 0, in eval mode."""
    generator = torch.Generator().manual_seed(20_240_229)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator) * scale)
    # The outputs are compared bit for bit, so everybody has to use the same attention.
    model.set_attn_implementation("eager")
    return model.eval()


def in_type(model: PreTrainedModel, dtype: torch.dtype) -> PreTrainedModel:
    """``model``, its values in ``dtype``."""
    # transformers wraps the method so that its type takes ``self`` for the first argument.
    return model.to(dtype)  # type: ignore[arg-type]


def make_tokenizer() -> PreTrainedTokenizerFast:
    """Bytes as tokens, RoBERTa's special tokens in its order, and an end token after each text."""
    specials = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]
    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    vocabulary = {token: index for index, token in enumerate(specials + letters)}
    backend = Tokenizer(models.BPE(vocab=vocabulary, merges=[], unk_token="<unk>"))
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    backend.decoder = decoders.ByteLevel()
    backend.post_processor = processors.TemplateProcessing(single="$A </s>", special_tokens=[("</s>", 2)])
    return PreTrainedTokenizerFast(
        tokenizer_object=backend,
        bos_token="<s>",
        pad_token="<pad>",
        eos_token="</s>",
        unk_token="<unk>",
        mask_token="<mask>",
    )


def save_folder(folder: Path, model: PreTrainedModel, **options: Any) -> Path:
    """``model`` and the tokenizer in ``folder``; ``options`` go to save_pretrained."""
    model.save_pretrained(folder, **options)
    make_tokenizer().save_pretrained(folder)
    return folder


def save_bin(folder: Path, model: PreTrainedModel) -> Path:
    """The same in PyTorch's old format."""
    save_folder(folder, model)
    (folder / "model.safetensors").unlink()
    torch.save(model.state_dict(), folder / "pytorch_model.bin")
    return folder


def edit_config(folder: Path, **changes: object) -> None:
    """Overwrites entries of config.json; None removes one."""
    file = folder / "config.json"
    config = json.loads(file.read_text()) | changes
    file.write_text(json.dumps({key: value for key, value in config.items() if value is not None}))


def outputs(model: nn.Module) -> torch.Tensor:
    """Logits of two fixed rows, [2, 7, vocabulary]."""
    ids = torch.tensor([[5, 6, 7, 8, 9, 10, 4], [11, 12, 250, 14, 15, 16, 17]])
    with torch.no_grad():
        return model(input_ids=ids, attention_mask=torch.ones_like(ids)).logits


def fill(skeleton: nn.Module, tensors: dict[str, torch.Tensor]) -> nn.Module:
    """``skeleton`` with ``tensors`` in it; a tied name may be absent, nothing else."""
    absent, surplus = skeleton.load_state_dict(tensors, strict=False)
    tied = {name for name, _ in skeleton.named_parameters(remove_duplicate=False)}
    tied -= {name for name, _ in skeleton.named_parameters()}
    assert set(absent) <= tied
    assert not surplus
    return skeleton
