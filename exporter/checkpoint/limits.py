"""Two numbers that every family's configuration spells differently: padding id and usable positions."""

from __future__ import annotations

from transformers import PretrainedConfig, PreTrainedTokenizerBase

UNLIMITED = 2**31 - 1
"""``usable_positions`` of a model without a position table, such as one with ALiBi."""

# What the length of a model's table of positions, or of its biases by distance, is called.
DECLARED_AS = ("max_position_embeddings", "max_seq_len")
# These count positions from padding_idx + 1, so the first rows of their table are lost.
OFFSET_BY_PADDING = frozenset(
    {
        "camembert",
        "data2vec-text",
        "esm",
        "ibert",
        "longformer",
        "luke",
        "mpnet",
        "roberta",
        "roberta-prelayernorm",
        "xlm-roberta",
        "xlm-roberta-xl",
        "xmod",
    }
)


def usable_positions(config: PretrainedConfig) -> int:
    """How many tokens a row may have, special tokens included.

    ``max_position_embeddings - padding_idx - 1`` for the RoBERTa kind, ``max_position_embeddings`` (or what a
    configuration maps to it) for all others, :data:`UNLIMITED` where the configuration declares none.

    With longrope it is the length that the model was first trained with: for longer rows transformers takes other
    frequencies, for the whole batch at once, so what a row gets would depend on the rows beside it.
    """
    declared = next((size for name in DECLARED_AS if isinstance(size := getattr(config, name, None), int)), 0)
    usable = declared - position_offset(config) if declared > 0 else UNLIMITED
    return min(usable, *_first_trained_with(config), UNLIMITED)


def _first_trained_with(config: PretrainedConfig) -> list[int]:
    """``original_max_position_embeddings`` of every longrope, of which a model may have one for each kind of layer."""
    stated = getattr(config, "rope_parameters", None) or {}
    every = [stated, *(part for part in stated.values() if isinstance(part, dict))]
    found = [
        part.get("original_max_position_embeddings", getattr(config, "original_max_position_embeddings", None))
        for part in every
        if part.get("rope_type") == "longrope"
    ]
    return [length for length in found if isinstance(length, int)]


def position_offset(config: PretrainedConfig) -> int:
    """What ``position_ids`` of a row begin with: ``padding_idx + 1`` for the RoBERTa kind, 0 for all others."""
    if config.model_type not in OFFSET_BY_PADDING:
        return 0
    padding = _valid_id(getattr(config, "pad_token_id", None), config)
    return (1 if padding is None else padding) + 1


def padding_id_of(config: PretrainedConfig, tokenizer: PreTrainedTokenizerBase) -> int:
    """The id that fills rows up: configuration, else tokenizer, else end-of-sequence, else 0.

    The configuration comes first because the RoBERTa kind recognises padding by it when it counts positions.
    """
    end = getattr(config, "eos_token_id", None)
    candidates = (
        getattr(config, "pad_token_id", None),
        tokenizer.pad_token_id,
        end[0] if isinstance(end, list) and end else end,
        tokenizer.eos_token_id,
    )
    for candidate in candidates:
        if (valid := _valid_id(candidate, config)) is not None:
            return valid
    return 0


def _valid_id(candidate: object, config: PretrainedConfig) -> int | None:
    """``candidate`` if it indexes the vocabulary; Llama configurations spell "none" as -1."""
    vocabulary = getattr(config, "vocab_size", UNLIMITED)
    if isinstance(candidate, int) and 0 <= candidate < vocabulary:
        return candidate
    return None
