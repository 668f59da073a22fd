"""A step of MeZO (Malladi et al. 2023, arXiv 2305.17333, algorithm 1): all weights, in place, two forwards."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

import torch


@torch.no_grad()
def mezo_step(
    parameters: Sequence[torch.nn.Parameter],
    noise: Callable[[], Iterable[torch.Tensor]],
    loss: Callable[[], float],
    epsilon: float,
    learning_rate: float,
) -> None:
    """Moves ``parameters`` along the noise, against its projected gradient.

    Args:
        parameters: of the model, changed in place.
        noise: as many tensors of their shapes, the same at each call: drawn again from a seed, or kept.
        loss: at the parameters as they are.
        epsilon: how far away the loss is asked for, on both sides.
        learning_rate: times the projected gradient.
    """

    def move(scale: float) -> None:
        for parameter, direction in zip(parameters, noise(), strict=True):
            parameter.add_(direction, alpha=scale)

    move(epsilon)
    plus = loss()
    move(-2 * epsilon)
    minus = loss()
    move(epsilon)
    move(-learning_rate * (plus - minus) / (2 * epsilon))
