"""Two tiny checkpoints with random weights, and the tokenizer of both."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, processors, trainers

if TYPE_CHECKING:
    from transformers import PreTrainedModel

SEED = 20_240_229
NEGATIVE = ("awful", "boring", "dull", "bad")
POSITIVE = ("lovely", "great", "bright", "good")
FILLER = ("film", "song", "book")


def byte_level_tokenizer() -> Tokenizer:
    """Byte-level BPE trained on a few sentences, so that every label word and content word is one token."""
    sentences = [
        f"Review: a {word} {thing}\nSentiment: {label}"
        for words, label in ((NEGATIVE, "negative"), (POSITIVE, "positive"))
        for word in words
        for thing in FILLER
    ]
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=420,
        special_tokens=["<s>", "</s>", "<pad>"],
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    tokenizer.train_from_iterator(sentences, trainer)
    tokenizer.post_processor = processors.TemplateProcessing(single="<s> $A", special_tokens=[("<s>", 0)])
    return tokenizer


def randomised(model: PreTrainedModel) -> PreTrainedModel:
    """``model`` with weights from a seed, large enough that every layer matters to what it says."""
    import torch

    generator = torch.Generator().manual_seed(SEED)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            noise = torch.randn(parameter.shape, generator=generator)
            parameter.copy_(1 + 0.05 * noise if "norm" in name.lower() else 0.2 * noise)
    return model


def save_llama(folder: Path) -> None:
    """A Llama of two layers."""
    from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

    tokenizer = byte_level_tokenizer()
    config = LlamaConfig(
        vocab_size=tokenizer.get_vocab_size(),
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=64,
        bos_token_id=0,
        eos_token_id=1,
        pad_token_id=2,
        tie_word_embeddings=True,
    )
    randomised(LlamaForCausalLM(config)).save_pretrained(folder)
    PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, bos_token="<s>", eos_token="</s>", pad_token="<pad>"
    ).save_pretrained(folder)


def save_roberta(folder: Path) -> None:
    """A RoBERTa of two layers; its tokenizer also has ``</s>`` behind a text, and ``<mask>``."""
    from transformers import PreTrainedTokenizerFast, RobertaConfig, RobertaForMaskedLM

    tokenizer = byte_level_tokenizer()
    tokenizer.add_special_tokens([AddedToken("<mask>", lstrip=True, special=True)])
    pairs = [("<s>", 0), ("</s>", 1)]
    tokenizer.post_processor = processors.TemplateProcessing(single="<s> $A </s>", special_tokens=pairs)
    config = RobertaConfig(
        vocab_size=tokenizer.get_vocab_size(),
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=4,
        max_position_embeddings=64,
        type_vocab_size=1,
        bos_token_id=0,
        eos_token_id=1,
        pad_token_id=2,
    )
    randomised(RobertaForMaskedLM(config)).save_pretrained(folder)
    PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, bos_token="<s>", eos_token="</s>", pad_token="<pad>", mask_token="<mask>"
    ).save_pretrained(folder)
