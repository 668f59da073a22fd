"""A MeZO step in PyTorch (Malladi et al. 2023, arXiv 2305.17333, algorithm 1): all weights, in place, two forwards."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

from contenders.torch_rows import load

EPSILON, LEARNING_RATE = 1e-3, 1e-7


def prepare(options: dict[str, Any]) -> Callable[[], None]:
    """Options: see `torch_rows.py`."""
    model, loss = load(options)
    parameters = list(model.parameters())
    seeds = iter(range(1 << 31))

    def move(seed: int, scale: float) -> None:
        generator = torch.Generator().manual_seed(seed)
        for parameter in parameters:
            parameter.add_(torch.randn(parameter.shape, generator=generator), alpha=scale)

    @torch.no_grad()
    def step() -> None:
        seed = next(seeds)
        move(seed, EPSILON)
        plus = float(loss())
        move(seed, -2 * EPSILON)
        minus = float(loss())
        move(seed, EPSILON)
        move(seed, -LEARNING_RATE * (plus - minus) / (2 * EPSILON))

    return step
