"""Accuracy of each head on pictures as they are and under attack, by foolbox's PGD."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from seedtune.exporter.recipes.asymmetric.nets import AsymmetricNet
from seedtune.exporter.white_box.attack import attacked

Floats = npt.NDArray[np.float32]
Integers = npt.NDArray[np.int64]
HEADS = ("joint", "robust", "non_robust")
STEPS = 20
BATCH = 500


class Head(nn.Module):
    """One classifier of a net, as an attack wants it."""

    def __init__(self, net: AsymmetricNet, head: str) -> None:
        super().__init__()
        self._net, self._place = net, HEADS.index(head)

    def forward(self, pictures: torch.Tensor) -> torch.Tensor:
        """[B, C]."""
        found: torch.Tensor = self._net(pictures)[self._place]
        return found


def accuracy(model: nn.Module, pictures: Floats, labels: Integers) -> float:
    """The share of ``pictures`` [N, C, H, W] that ``model`` gets right."""
    right = 0
    with torch.no_grad():
        for first in range(0, len(pictures), BATCH):
            scores = model(torch.from_numpy(pictures[first : first + BATCH]))
            right += int((scores.argmax(1).numpy() == labels[first : first + BATCH]).sum())
    return right / len(pictures)


def under_attack(model: nn.Module, pictures: Floats, labels: Integers, bound: float, seed: int) -> Floats:
    """Pictures within ``bound`` of ``pictures`` [N, C, H, W] that ``model`` is to get wrong: PGD of `STEPS`."""
    parts = [
        attacked(model, "pgd", pictures[first : first + BATCH], labels[first : first + BATCH], bound, STEPS, seed)
        for first in range(0, len(pictures), BATCH)
    ]
    return np.concatenate(parts).astype(np.float32)


def figures(net: AsymmetricNet, pictures: Floats, labels: Integers, bound: float, seed: int) -> dict[str, float]:
    """Of each head: ``HEAD_clean``, and ``HEAD_pgd``, attacked through its own scores."""
    found = {}
    for head in HEADS:
        model = Head(net, head).eval()
        found[f"{head}_clean"] = accuracy(model, pictures, labels)
        found[f"{head}_pgd"] = accuracy(model, under_attack(model, pictures, labels, bound, seed), labels)
    return found
