"""What a checkpoint says of generating text: which tokens end one, and how a conversation becomes one text."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path

from transformers import PretrainedConfig, PreTrainedTokenizerBase

# transformers' name for the one template of several that is for chat.
DEFAULT = "default"


def end_ids_of(config: PretrainedConfig, tokenizer: PreTrainedTokenizerBase) -> tuple[int, ...]:
    """The ids that ``config`` and ``tokenizer`` end a text with, ascending."""
    text = config.get_text_config()
    stated = getattr(text, "eos_token_id", None)
    return tuple(sorted({*_ids(stated, text.vocab_size), *_ids(tokenizer.eos_token_id, text.vocab_size)}))


def stated_end_ids(folder: Path, vocabulary_size: int) -> tuple[int, ...]:
    """The ids that generation_config.json in ``folder`` ends a text with; none where it is missing or no JSON."""
    file = folder / "generation_config.json"
    try:
        stored = json.loads(file.read_text(encoding="utf-8")) if file.is_file() else {}
    except (OSError, ValueError, RecursionError):
        return ()
    return tuple(_ids(stored.get("eos_token_id"), vocabulary_size)) if isinstance(stored, dict) else ()


def chat_template_of(tokenizer: PreTrainedTokenizerBase) -> str | None:
    """The chat template of ``tokenizer``; of several the default one."""
    template = getattr(tokenizer, "chat_template", None)
    if isinstance(template, dict):
        template = template.get(DEFAULT)
    return template if isinstance(template, str) and template.strip() else None


def _ids(stated: object, vocabulary_size: int) -> Iterable[int]:
    """``stated``, an id or a list of ids, without what the vocabulary lacks; configurations spell "none" as -1."""
    listed = stated if isinstance(stated, list | tuple) else [stated]
    return [index for index in listed if type(index) is int and 0 <= index < vocabulary_size]
