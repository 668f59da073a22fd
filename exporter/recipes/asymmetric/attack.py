"""Projected gradient descent for the inner loop of learning (Madry et al. 2018).

The plain loop, as it runs a million times; whoever measures takes a library's (`evaluation.py`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch


def descended(
    losses: Callable[[torch.Tensor], Sequence[torch.Tensor]],
    pictures: torch.Tensor,
    bound: float,
    steps: int,
    step_size: float,
    generator: torch.Generator,
    shares: Sequence[float] | None = None,
) -> torch.Tensor:
    """Pictures [B, ...] within ``bound`` of ``pictures``, and in 0..1, of which each of ``losses`` is small.

    Args:
        losses: pictures to scalars, each the sum over them; of several the gradients of a picture are added up, each
            at length 1 times ``shares``, or a robust classifier's, which are short, would be lost beside another's.
        pictures: in 0..1.
        bound: in the greatest change of a value.
        steps: of the descent, from a random start.
        step_size: by which each value moves in a step.
        generator: of the start.
        shares: of each loss, where there are several; None for 1.
    """
    start = torch.empty_like(pictures).uniform_(-bound, bound, generator=generator)
    low, high = (pictures - bound).clamp(0, 1), (pictures + bound).clamp(0, 1)
    moved = torch.minimum(torch.maximum(pictures + start, low), high)
    for _step in range(steps):
        moved.requires_grad_(True)
        found = losses(moved)
        gradients = [
            torch.autograd.grad(loss, moved, retain_graph=number < len(found))[0]
            for number, loss in enumerate(found, 1)
        ]
        if len(gradients) > 1:
            gradients = [
                share * _unit(each) for share, each in zip(shares or [1.0] * len(found), gradients, strict=True)
            ]
        way = torch.stack(gradients).sum(0).sign()
        moved = torch.minimum(torch.maximum(moved.detach() - step_size * way, low), high)
    return moved.detach()


def other_classes(labels: torch.Tensor, classes: int, generator: torch.Generator) -> torch.Tensor:
    """A class for each of ``labels`` [B] that is not its own, each as likely as any other."""
    return (labels + torch.randint(1, classes, labels.shape, generator=generator)) % classes


def _unit(gradient: torch.Tensor) -> torch.Tensor:
    length = gradient.flatten(1).norm(dim=1).clamp_min(1e-30)
    return gradient / length.reshape(-1, *(1 for _axis in gradient.shape[1:]))
