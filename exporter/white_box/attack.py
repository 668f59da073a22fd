"""PGD (Madry et al. 2018) by foolbox: of the cross-entropy, or of the margin (Carlini and Wagner 2017, f6)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

import eagerpy
import numpy as np
import numpy.typing as npt
import torch
from foolbox.attacks.projected_gradient_descent import LinfProjectedGradientDescentAttack
from foolbox.models.pytorch import PyTorchModel
from torch import nn

Floats = npt.NDArray[np.float32]
NO_SCORE = -1e9


class MarginAttack(LinfProjectedGradientDescentAttack):
    """The same descent along ``max_other z - z_label``."""

    def get_loss_fn(self, model: Any, labels: Any) -> Callable[[Any], Any]:
        """See foolbox: what is to grow, summed over the pictures."""

        def loss(pictures: Any) -> Any:
            scores = model(pictures)
            own = eagerpy.onehot_like(scores, labels)
            return ((scores + own * NO_SCORE).max(axis=-1) - (scores * own).sum(axis=-1)).sum()

        return loss


def attacked(
    module: nn.Module,
    kind: Literal["pgd", "cw"],
    starts: Floats,
    labels: np.ndarray,
    bound: float,
    steps: int,
    seed: int,
) -> np.ndarray:
    """Pictures [R, C, H, W] in 0..1 within ``bound`` of ``starts`` [R, C, H, W], which shall not be ``labels`` [R]."""
    of_kind = {"pgd": LinfProjectedGradientDescentAttack, "cw": MarginAttack}[kind]
    attack = of_kind(abs_stepsize=2.5 * bound / steps, steps=steps, random_start=True)
    model = PyTorchModel(module, bounds=(0, 1), device="cpu")
    # foolbox draws its starts from torch's own generator.
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        found = attack.run(model, torch.from_numpy(starts), torch.from_numpy(labels), epsilon=bound)
    return np.asarray(found.numpy())
