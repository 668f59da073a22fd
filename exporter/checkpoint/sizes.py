"""Whether a configuration is of the size of the weights beside it: before modules of that size are made."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from transformers import PretrainedConfig

from seedtune.runtime.errors import SeedTuneError

# Where the weights do not tell: what a dimension of any file can be.
UNKNOWN = 2**31 - 1
MOST_SHARED_LAYERS = 128
WIDTHS = ("hidden_size", "intermediate_size", "vocab_size", "head_dim", "num_attention_heads", "num_key_value_heads")


def require_sizes(config: PretrainedConfig, shapes: Sequence[tuple[int, ...]] | None, file: Path) -> None:
    """Raises SeedTuneError where ``config`` is wider than any tensor of ``shapes``, or has many more layers than these.

    Whether each tensor fits is seen when the model is filled; this keeps a damaged number from taking all memory.
    Without ``shapes`` sizes are only to be above 0.
    """
    widest, most_layers = UNKNOWN, UNKNOWN
    if shapes is not None:
        widest = max((length for shape in shapes for length in shape), default=0)
        # Layers may share their weights, as ALBERT's do.
        most_layers = max(len(shapes), MOST_SHARED_LAYERS)
    bounds = dict.fromkeys(WIDTHS, widest) | {"num_hidden_layers": most_layers}
    for name, most in bounds.items():
        size = _size(config, name)
        if isinstance(size, int) and not 0 < size <= most:
            raise SeedTuneError(
                "the configuration does not belong to these weights",
                file=file,
                value=f"{name} {size:,}",
                rule=f"1 to {most:,}, as far as the weights tell",
                remedy="use the configuration that came with these weights, or fetch them again",
            )


def _size(config: PretrainedConfig, name: str) -> object:
    """What ``config`` says of all layers; None where it says nothing, or something else of each."""
    try:
        return getattr(config, name, None)
    except RuntimeError:
        return None
