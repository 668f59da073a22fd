"""The tokenizer inside a GGUF file, with the pre-tokenizer that the model was trained with.

transformers rebuilds vocabulary and merges, but drops ``tokenizer.ggml.pre`` for the byte-level kind.
SmolLM's splits digits off first, so two spaces before a number would
otherwise become other tokens than in training.
"""

from __future__ import annotations

from pathlib import Path

from tokenizers.pre_tokenizers import ByteLevel, Digits, PreTokenizer, Sequence
from transformers import PreTrainedTokenizerBase

from seedtune.exporter.checkpoint.tokenizer import load_tokenizer


def load_gguf_tokenizer(path: Path, pre_tokenizer: str | None) -> PreTrainedTokenizerBase:
    """transformers' tokenizer of a GGUF file.

    Args:
        path: the file.
        pre_tokenizer: the file's ``tokenizer.ggml.pre``; unknown ones keep transformers' choice.

    Raises:
        SeedTuneError: if transformers cannot read it.
    """
    tokenizer = load_tokenizer(path.parent, path.name)
    replacement = _pre_tokenizer(pre_tokenizer)
    backend = getattr(tokenizer, "backend_tokenizer", None)
    if replacement is not None and backend is not None:
        backend.pre_tokenizer = replacement
    return tokenizer


def _pre_tokenizer(name: str | None) -> PreTokenizer | None:
    if name == "smollm":
        # As in the tokenizer.json of HuggingFaceTB/SmolLM2-135M-Instruct.
        return Sequence([Digits(individual_digits=True), ByteLevel(add_prefix_space=False, use_regex=True)])
    return None
