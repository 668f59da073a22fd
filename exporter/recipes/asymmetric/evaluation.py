"""Accuracy of each head on pictures as they are and under attack, by the Adversarial Robustness Toolbox's PGD."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from seedtune.exporter.recipes.asymmetric.nets import AsymmetricNet

Floats = npt.NDArray[np.float32]
Integers = npt.NDArray[np.int64]
HEADS = ("joint", "robust", "non_robust")
STEPS = 20
# Of the bound, that a step of the measuring attack goes.
STEP = 0.1
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


def attacked(model: nn.Module, pictures: Floats, labels: Integers, classes: int, bound: float, seed: int) -> Floats:
    """Pictures within ``bound`` of ``pictures`` [N, C, H, W] that ``model`` is to get wrong: untargeted PGD of `STEPS`.

    Args:
        model: pictures to [N, classes].
        pictures: in 0..1.
        labels: [N], what it should say.
        classes: that it tells apart.
        bound: in the greatest change of a value.
        seed: of the random start.
    """
    from art.attacks.evasion import ProjectedGradientDescent
    from art.estimators.classification import PyTorchClassifier

    with _own_chance(seed):
        classifier = PyTorchClassifier(
            model, nn.CrossEntropyLoss(), pictures.shape[1:], classes, clip_values=(0.0, 1.0), device_type="cpu"
        )
        attack = ProjectedGradientDescent(
            classifier, eps=bound, eps_step=STEP * bound, max_iter=STEPS, num_random_init=1, batch_size=BATCH,
            verbose=False,
        )  # fmt: skip
        found = attack.generate(pictures, labels)
    return np.ascontiguousarray(found, np.float32)


def accuracy(model: nn.Module, pictures: Floats, labels: Integers) -> float:
    """The share of ``pictures`` [N, C, H, W] that ``model`` gets right."""
    right = 0
    with torch.no_grad():
        for first in range(0, len(pictures), BATCH):
            scores = model(torch.from_numpy(pictures[first : first + BATCH]))
            right += int((scores.argmax(1).numpy() == labels[first : first + BATCH]).sum())
    return right / len(pictures)


def figures(net: AsymmetricNet, pictures: Floats, labels: Integers, bound: float, seed: int) -> dict[str, float]:
    """Of each head: ``HEAD_clean``, and ``HEAD_pgd``, attacked through its own scores."""
    classes, found = net.joint.out_features, {}
    for head in HEADS:
        model = Head(net, head)
        found[f"{head}_clean"] = accuracy(model, pictures, labels)
        found[f"{head}_pgd"] = accuracy(model, attacked(model, pictures, labels, classes, bound, seed), labels)
    return found


@contextmanager
def _own_chance(seed: int) -> Iterator[None]:
    """The library draws from the global generators of numpy and torch: seeded within, and as they were afterwards."""
    before, level = np.random.get_state(), logging.getLogger("art").level
    logging.getLogger("art").setLevel(logging.ERROR)
    try:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            np.random.seed(seed)
            yield
    finally:
        np.random.set_state(before)
        logging.getLogger("art").setLevel(level)
