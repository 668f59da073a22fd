"""Projected gradient descent toward a class, for the inner loop of learning (Madry et al. 2018).

The plain loop, as it runs a million times; whoever measures takes a library's (`evaluation.py`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch.nn import functional

Scores = Callable[[torch.Tensor], Sequence[torch.Tensor]]


def targeted(
    scores: Scores,
    pictures: torch.Tensor,
    targets: torch.Tensor,
    bound: float,
    steps: int,
    step_size: float,
    generator: torch.Generator,
) -> torch.Tensor:
    """Pictures [B, ...] within ``bound`` of ``pictures``, and in 0..1, that all of ``scores`` take for ``targets`` [B].

    Args:
        scores: pictures to scores [B, C] of one classifier or of several.
        pictures: in 0..1.
        targets: int64.
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
        losses = [functional.cross_entropy(found, targets, reduction="sum") for found in scores(moved)]
        loss = torch.stack(losses).sum()
        (gradient,) = torch.autograd.grad(loss, moved)
        moved = torch.minimum(torch.maximum(moved.detach() - step_size * gradient.sign(), low), high)
    return moved.detach()


def other_classes(labels: torch.Tensor, classes: int, generator: torch.Generator) -> torch.Tensor:
    """A class for each of ``labels`` [B] that is not its own, each as likely as any other."""
    return (labels + torch.randint(1, classes, labels.shape, generator=generator)) % classes
