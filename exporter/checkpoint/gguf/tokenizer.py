"""The tokenizer inside a GGUF file, which splits text as the model was trained to.

transformers rebuilds vocabulary and merges, and knows some names of ``tokenizer.ggml.pre``; any other falls to GPT-2's
split without a word, and texts become other tokens than in training. Here the names are sorted by what llama.cpp's
``llama-vocab.cpp`` does for them.
"""

from __future__ import annotations

import warnings
from pathlib import Path

from tokenizers import Regex, Tokenizer
from tokenizers.pre_tokenizers import ByteLevel, Digits, Metaspace, PreTokenizer, Sequence, Split
from transformers import PreTrainedTokenizerBase

from seedtune.exporter.checkpoint.gguf.header import GgufHeader
from seedtune.exporter.checkpoint.tokenizer import load_tokenizer
from seedtune.runtime.errors import SeedTuneError

try:
    from transformers.integrations.gguf.gguf_tokenizer_mapping import GGUF_PRE_TOKENIZER_SPLITS
except ImportError:  # before transformers had this table, it dropped every name
    GGUF_PRE_TOKENIZER_SPLITS = {}

MODEL, PRE = "tokenizer.ggml.model", "tokenizer.ggml.pre"
ADD_BEGIN = "tokenizer.ggml.add_bos_token"
PREFIX = "tokenizer.ggml.add_space_prefix"
# GPT-2's split, which transformers takes anyway.
LIKE_GPT2 = {
    "gpt-2", "phi-2", "jina-es", "jina-de", "jina-v1-en", "jina-v2-es", "jina-v2-de", "jina-v2-code", "roberta-bpe",
    "gigachat", "a.x-4.0", "mellum", "modern-bert", "mpt", "olmo", "jais", "trillion", "granite-docling", "exaone4",
}  # fmt: skip
# Every digit for itself, then GPT-2's split: as in the tokenizer.json of HuggingFaceTB/SmolLM2-135M-Instruct.
DIGITS_FIRST = {
    "smollm", "starcoder", "refact", "command-r", "codeshell", "exaone", "minerva-7b", "mellum2",
}  # fmt: skip
# The same expression under another name that transformers has.
SAME_AS = {
    "stablelm2": "qwen2",
    "hunyuan": "qwen2",
    "solar-open": "qwen2",
    "grok-2": "qwen2",
    "glm4": "llama-bpe",
    "chatglm-bpe": "llama-bpe",
}
# A word that is a token stays one, whatever the merges make of it.
WHOLE_WORDS = {
    "llama3", "llama-v3", "llama-bpe", "falcon3", "falcon-h1", "pixtral", "midm-2.0", "lfm2", "jina-v5-nano", "tekken",
}  # fmt: skip
# Texts begin with the begin token unless the file says otherwise.
BEGIN = {"llama3", "llama-v3", "llama-bpe", "pixtral", "tekken"}
# Known to split otherwise than all of these.
DIFFERENT = {
    "deepseek-llm", "deepseek-coder", "deepseek-v3", "falcon", "poro-chat", "bloom", "gpt3-finnish", "viking",
    "chameleon", "superbpe", "bailingmoe", "bailingmoe2", "llada-moe", "seed-coder", "hunyuan-dense", "joyai-llm",
    "kimi-k2", "afmoe", "exaone-moe", "tiny_aya", "cohere2moe", "youtu", "jais-2", "gemma4",
    "granite-embed-multi-311m", "granite-embed-multi-97m", "sarvam-moe", "whitespace", "minicpm5", "spark2_5",
    "hy_v4", "k2-horizon", "laguna",
}  # fmt: skip


def load_gguf_tokenizer(path: Path, header: GgufHeader) -> PreTrainedTokenizerBase:
    """transformers' tokenizer of a GGUF file, with the split that the file names. Warns where it names none.

    Raises:
        SeedTuneError: if transformers cannot read it, or the file names a split that nobody here can make.
    """
    tokenizer = load_tokenizer(path.parent, path.name)
    backend = getattr(tokenizer, "backend_tokenizer", None)
    if isinstance(backend, Tokenizer):
        if header.text(MODEL) == "gpt2":
            name = header.text(PRE)
            _set_split(backend, name, path)
            if name in WHOLE_WORDS:
                backend.model.ignore_merges = True
            if name in BEGIN and ADD_BEGIN not in header.fields and tokenizer.bos_token is not None:
                tokenizer.add_bos_token = True
        elif header.fields.get(PREFIX) is False:
            _leave_out_prefix(backend, path)
    return tokenizer


def _set_split(backend: Tokenizer, name: str | None, path: Path) -> None:
    """Splits of a byte-level vocabulary; sentencepiece's have none."""
    if name in GGUF_PRE_TOKENIZER_SPLITS or name in LIKE_GPT2:
        return
    if name in DIGITS_FIRST:
        backend.pre_tokenizer = Sequence([Digits(individual_digits=True), _bytes(use_regex=True)])
    elif name in SAME_AS and SAME_AS[name] in GGUF_PRE_TOKENIZER_SPLITS:
        pattern = Regex(GGUF_PRE_TOKENIZER_SPLITS[SAME_AS[name]])
        backend.pre_tokenizer = Sequence([Split(pattern, behavior="isolated"), _bytes(use_regex=False)])
    elif name in DIFFERENT or name in SAME_AS:
        raise _refusal("the vocabulary was made with a split that transformers does not know", path, {PRE: name})
    else:
        known = name in (None, "default")
        said = f"names no split of texts ({PRE})" if known else f"names a split that nobody here knows ({PRE} {name!r})"
        warnings.warn(
            f"{path}: the file {said}; GPT-2's split is taken, and texts become other tokens than in training if that "
            "is wrong: compare with the model's own tokenizer.json",
            stacklevel=4,
        )


def _bytes(use_regex: bool) -> PreTokenizer:
    return ByteLevel(add_prefix_space=False, use_regex=use_regex)


def _leave_out_prefix(backend: Tokenizer, path: Path) -> None:
    """Some sentencepiece vocabularies put no space in front of a text; transformers' reader always does."""
    if isinstance(backend.pre_tokenizer, Metaspace):
        backend.pre_tokenizer.prepend_scheme = "never"
    if "▁" in backend.encode("a", add_special_tokens=False).tokens[0]:
        raise _refusal("the vocabulary puts no space in front of a text, and transformers does", path, {PREFIX: False})


def _refusal(what: str, path: Path, value: object) -> SeedTuneError:
    return SeedTuneError(
        what,
        file=path,
        value=value,
        rule="texts become the tokens that the model was trained on",
        remedy="use the model's safetensors and tokenizer.json instead",
    )
