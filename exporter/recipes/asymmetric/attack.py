"""Projected gradient descent for the inner loop of learning (Madry et al. 2018).

The plain loop, as it runs a million times; whoever measures takes a library's (`evaluation.py`).
"""

from __future__ import annotations

from collections.abc import Callable

import torch


def descended(
    loss: Callable[[torch.Tensor], torch.Tensor],
    pictures: torch.Tensor,
    bound: float,
    steps: int,
    step_size: float,
    generator: torch.Generator,
) -> torch.Tensor:
    """Pictures [B, ...] within ``bound`` of ``pictures``, and in 0..1, of which ``loss`` is small.

    Args:
        loss: pictures to a scalar, the sum over them.
        pictures: in 0..1.
        bound: in the greatest change of a value.
        steps: of the descent, from a random start.
        step_size: by which each value moves in a step.
        generator: of the start.
    """
    start = torch.empty_like(pictures).uniform_(-bound, bound, generator=generator)
    low, high = (pictures - bound).clamp(0, 1), (pictures + bound).clamp(0, 1)
    moved = torch.minimum(torch.maximum(pictures + start, low), high)
    for _step in range(steps):
        moved.requires_grad_(True)
        (gradient,) = torch.autograd.grad(loss(moved), moved)
        moved = torch.minimum(torch.maximum(moved.detach() - step_size * gradient.sign(), low), high)
    return moved.detach()


def other_classes(labels: torch.Tensor, classes: int, generator: torch.Generator) -> torch.Tensor:
    """A class for each of ``labels`` [B] that is not its own, each as likely as any other."""
    return (labels + torch.randint(1, classes, labels.shape, generator=generator)) % classes
