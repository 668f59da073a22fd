"""A tiny model of an architecture with random weights, saved as transformers saves it, with tokenizer and task."""

from __future__ import annotations

from pathlib import Path

import torch
import transformers
from transformers import PretrainedConfig

from families.architectures import Architecture
from families.texts import TASK, tokenizer, write_rows

SEED = 20_240_229
LARGEST_PARAMETERS = 3_000_000


class NotTiny(Exception):  # noqa: N818 - a finding, which the table tells
    """The architecture cannot be built in a small size; says why."""


def save(architecture: Architecture, config: PretrainedConfig, folder: Path) -> Path:
    """Writes the model, its tokenizer, ``task.toml`` and ``rows.jsonl`` into ``folder``.

    Raises:
        NotTiny: transformers does not build it from ``config``, or it stays large.
    """
    kind = getattr(transformers, architecture.name, None)
    if kind is None:
        raise NotTiny("transformers does not export its class")
    try:
        with torch.device("meta"):
            size = sum(parameter.numel() for parameter in kind(config).parameters())
    except Exception as error:
        raise NotTiny(f"its class does not take the small configuration: {one_line(error)}") from error
    if size > LARGEST_PARAMETERS:
        raise NotTiny(f"it has {size:,} parameters with the small configuration")
    torch.manual_seed(SEED)
    try:
        model = kind(config).eval()
        randomise(model)
        model.save_pretrained(folder)
    except Exception as error:
        raise NotTiny(f"transformers does not build or save it: {one_line(error)}") from error
    tokenizer(architecture.family == "masked").save_pretrained(folder)
    (folder / "task.toml").write_text(TASK, encoding="utf-8")
    write_rows(folder / "rows.jsonl")
    return folder


def randomise(model: torch.nn.Module) -> None:
    """Weights from a seed, large enough that every layer matters to what the model says, and no bias is zero."""
    generator = torch.Generator().manual_seed(SEED)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            noise = torch.randn(parameter.shape, generator=generator)
            if parameter.ndim > 1:
                parameter.copy_(0.2 * noise)
            elif parameter.is_floating_point():
                # Decays, steps and the like have a sensible range, which their first values tell.
                parameter.add_((0.05 if "norm" in name.lower() else 0.1) * noise)


def one_line(error: BaseException) -> str:
    """Type and message, without line breaks."""
    return f"{type(error).__name__}: {' '.join(str(error).split())}"[:300]
