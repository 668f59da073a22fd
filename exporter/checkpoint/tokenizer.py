"""A checkpoint's tokenizer, as the ``tokenizers`` library runs it on every platform that SeedTune reaches."""

from __future__ import annotations

from pathlib import Path

from tokenizers import Tokenizer
from transformers import AutoTokenizer, PreTrainedTokenizerBase

from seedtune.exporter.checkpoint.quiet import quiet
from seedtune.runtime.errors import SeedTuneError
from seedtune.runtime.task.native import refusing, require_usable_ids

# One of these must exist: without any, transformers 5 makes an empty tokenizer and does not complain.
VOCABULARY_FILES = (
    "tokenizer.json",
    "vocab.json",
    "vocab.txt",
    "tokenizer.model",
    "spiece.model",
    "sentencepiece.bpe.model",
    "sentencepiece.model",
    "spm.model",
)


def load_tokenizer(folder: Path, gguf_file: str | None = None) -> PreTrainedTokenizerBase:
    """transformers' tokenizer of a folder, or of a GGUF file in it.

    Raises:
        SeedTuneError: if the folder holds no vocabulary, or transformers cannot read it.
    """
    if gguf_file is None and not any((folder / name).is_file() for name in VOCABULARY_FILES):
        raise SeedTuneError(
            "the tokenizer is missing",
            file=folder / "tokenizer.json",
            rule=f"a model folder holds one of {', '.join(VOCABULARY_FILES)}",
            remedy="copy the tokenizer's files from where the model came from",
        )
    extra = {} if gguf_file is None else {"gguf_file": gguf_file}
    file = folder / (gguf_file or "tokenizer.json")
    with quiet(), refusing("the tokenizer cannot be read", "fetch the tokenizer's files again", file):
        return AutoTokenizer.from_pretrained(str(folder), local_files_only=True, trust_remote_code=False, **extra)


def clean_backend(tokenizer: PreTrainedTokenizerBase, source: str) -> Tokenizer:
    """A copy of the fast tokenizer inside ``tokenizer``, with truncation and padding off.

    Raises:
        SeedTuneError: if the tokenizer is written in Python, which a phone cannot run.
    """
    backend = getattr(tokenizer, "backend_tokenizer", None)
    if not isinstance(backend, Tokenizer):
        raise SeedTuneError(
            "the model has only a Python tokenizer",
            file=source,
            value=type(tokenizer).__name__,
            rule="a tokenizer that the tokenizers library runs (tokenizer.json)",
            remedy="convert it with transformers.convert_slow_tokenizer, or choose another model",
        )
    require_usable_ids(backend, source)
    copy = Tokenizer.from_str(backend.to_str())
    copy.no_truncation()
    copy.no_padding()
    return copy
