"""A MeZO step in PyTorch (`mezo.py`), its noise drawn again from a seed whenever it is wanted."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import torch

from contenders.mezo import mezo_step
from contenders.torch_rows import load

EPSILON, LEARNING_RATE = 1e-3, 1e-7


def prepare(options: dict[str, Any]) -> Callable[[], None]:
    """Options: see `torch_rows.py`."""
    model, loss = load(options)
    parameters = list(model.parameters())
    seeds = iter(range(1 << 31))

    def step() -> None:
        seed = next(seeds)

        def noise() -> Iterator[torch.Tensor]:
            generator = torch.Generator().manual_seed(seed)
            return (torch.randn(parameter.shape, generator=generator) for parameter in parameters)

        mezo_step(parameters, noise, lambda: float(loss()), EPSILON, LEARNING_RATE)

    return step
