"""One classifier behind the trunk of an asymmetric net, trained naturally, adversarially or by TRADES."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

import torch
from torch import nn
from torch.nn import functional

from seedtune.exporter.recipes.asymmetric.attack import descended
from seedtune.exporter.recipes.asymmetric.nets import (
    NON_ROBUST_CHANNELS,
    ROBUST_CHANNELS,
    AsymmetricNet,
    branch,
    initialise,
)
from seedtune.exporter.recipes.asymmetric.training import GROWTH, shifted
from seedtune.runtime.recipes.asymmetric_settings import AsymmetricSettings

Way = Literal["natural", "adversarial", "trades"]
# Of Zhang et al. 2019 (arXiv:1901.08573), where it is 1 / lambda.
BETA = 6.0


def rival(shape: tuple[int, int, int], classes: int, settings: AsymmetricSettings) -> nn.Sequential:
    """The net: the trunk, a branch as wide as both together, one linear classifier."""
    generator = torch.Generator().manual_seed(settings.seed)
    features = settings.robust_dimensions + settings.non_robust_dimensions
    whole = AsymmetricNet(shape, classes, 1, 1, generator)
    wide = branch((shape[1] // 2, shape[2] // 2), ROBUST_CHANNELS + NON_ROBUST_CHANNELS, features)
    net = nn.Sequential(whole.trunk, wide, nn.Linear(features, classes))
    initialise(net, generator)
    return net


def epochs_of(
    net: nn.Module, pictures: torch.Tensor, labels: torch.Tensor, settings: AsymmetricSettings, way: Way
) -> Iterator[float]:
    """Trains ``net`` on ``pictures`` [N, ...] as the recipe trains its own; yields the mean loss of each epoch."""
    generator = torch.Generator().manual_seed(settings.seed)
    batches = len(pictures) // settings.batch_size
    optimizer = torch.optim.Adam(net.parameters(), lr=settings.learning_rate)
    steps = settings.epochs * batches
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, settings.learning_rate, total_steps=steps)
    for epoch in range(settings.epochs):
        bound = settings.bound * min(1.0, (epoch + 1) / (GROWTH * settings.epochs))
        order, total = torch.randperm(len(pictures), generator=generator), 0.0
        for number in range(batches):
            rows = order[number * settings.batch_size : (number + 1) * settings.batch_size]
            loss = _loss(
                net, shifted(pictures[rows], settings.shift, generator), labels[rows], settings, way, bound, generator
            )
            total += float(loss.detach())
            optimizer.zero_grad()
            torch.autograd.backward(loss)
            optimizer.step()
            schedule.step()
        yield total / batches


def _loss(
    net: nn.Module,
    shown: torch.Tensor,
    said: torch.Tensor,
    settings: AsymmetricSettings,
    way: Way,
    bound: float,
    generator: torch.Generator,
) -> torch.Tensor:
    if way == "natural":
        return functional.cross_entropy(net(shown), said)
    step_size = settings.attack_step * bound
    if way == "adversarial":

        def right(moved: torch.Tensor) -> torch.Tensor:
            return -functional.cross_entropy(net(moved), said, reduction="sum")

        attacked = descended(right, shown, bound, settings.attack_steps, step_size, generator)
        return functional.cross_entropy(net(attacked), said)
    plain = net(shown)
    before = plain.detach().softmax(1)

    def alike(moved: torch.Tensor) -> torch.Tensor:
        return -functional.kl_div(net(moved).log_softmax(1), before, reduction="sum")

    attacked = descended(alike, shown, bound, settings.attack_steps, step_size, generator)
    apart = functional.kl_div(net(attacked).log_softmax(1), plain.softmax(1), reduction="batchmean")
    return functional.cross_entropy(plain, said) + BETA * apart
