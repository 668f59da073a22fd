"""The net: a trunk f, branches to features z_r and z_n, and a linear classifier on each and on both.

A branch has a convolution of its own: behind one that both share the robust features lose against the others
(docs/log/2026-11-27.md).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import nn

from seedtune.runtime.errors import SeedTuneError

TRUNK_CHANNELS = 16
# Robust features take more filters than others; together as many as one classifier would have.
ROBUST_CHANNELS, NON_ROBUST_CHANNELS = 48, 16
# Halved twice, a side must have something left.
LEAST_SIDE = 4


@dataclass(frozen=True)
class Answers:
    """What the net says of pictures: ``logits``, ``robust`` and ``non_robust`` [B, C], ``z_r`` [B, d_r], ``z_n``."""

    logits: torch.Tensor
    robust: torch.Tensor
    non_robust: torch.Tensor
    z_r: torch.Tensor
    z_n: torch.Tensor


class AsymmetricNet(nn.Module):
    """f, then z_r and z_n, each behind a branch, W_r z_r + b_r, W_n z_n + b_n and W [z_r, z_n] + b.

    Args:
        shape: (channels, height, width) of a picture.
        classes: C.
        robust: d_r.
        non_robust: d_n.
        generator: of the first weights.

    Raises:
        SeedTuneError: pictures that are too small for it.
    """

    def __init__(
        self, shape: tuple[int, int, int], classes: int, robust: int, non_robust: int, generator: torch.Generator
    ) -> None:
        super().__init__()
        channels, height, width = shape
        if min(height, width) < LEAST_SIDE:
            raise SeedTuneError(
                "the pictures are too small for the net",
                value=f"{height} x {width}",
                rule=f"{LEAST_SIDE} x {LEAST_SIDE} or larger",
                remedy="give larger pictures",
            )
        self.trunk = nn.Sequential(nn.Conv2d(channels, TRUNK_CHANNELS, 4, stride=2, padding=1), nn.ReLU())
        self.to_robust = branch((height // 2, width // 2), ROBUST_CHANNELS, robust)
        self.to_non_robust = branch((height // 2, width // 2), NON_ROBUST_CHANNELS, non_robust)
        self.robust = nn.Linear(robust, classes)
        self.non_robust = nn.Linear(non_robust, classes)
        self.joint = nn.Linear(robust + non_robust, classes)
        initialise(self, generator)

    def answers(self, pictures: torch.Tensor) -> Answers:
        """Everything that the net says of ``pictures`` [B, channels, height, width] in 0..1."""
        trunk = self.trunk(pictures)
        z_r, z_n = self.to_robust(trunk), self.to_non_robust(trunk)
        return Answers(self.joint(torch.cat([z_r, z_n], 1)), self.robust(z_r), self.non_robust(z_n), z_r, z_n)

    def forward(self, pictures: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """The same as a tuple, in the order of the exported outputs."""
        found = self.answers(pictures)
        return found.logits, found.robust, found.non_robust, found.z_r, found.z_n


def branch(sides: tuple[int, int], channels: int, features: int) -> nn.Sequential:
    """From what the trunk says, [B, `TRUNK_CHANNELS`, *sides], to ``features`` that are 0 or more, by a convolution."""
    height, width = sides
    return nn.Sequential(
        nn.Conv2d(TRUNK_CHANNELS, channels, 4, stride=2, padding=1),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(channels * (height // 2) * (width // 2), features),
        nn.ReLU(),
    )


def initialise(module: nn.Module, generator: torch.Generator) -> None:
    """Weights as torch's own layers have them (uniform within 1 / sqrt of the inputs), from ``generator``."""
    for layer in module.modules():
        if isinstance(layer, nn.Conv2d | nn.Linear):
            bound = 1 / math.sqrt(layer.weight[0].numel())
            for values in (layer.weight, layer.bias):
                if values is not None:
                    nn.init.uniform_(values, -bound, bound, generator=generator)
