"""What stands beside scans of colour pictures: two attacks without gradients, within bounds of their own.

Both are what the library or the plain loop gives; each picture that was changed is rounded to whole bytes, and counts
where the model had it right before and has it wrong after.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch
from art.attacks.evasion import SquareAttack
from art.estimators.classification import PyTorchClassifier
from torch import nn
from torch.nn import functional

from lab.vision.nets import CLASSES

Floats = npt.NDArray[np.float32]
Labels = npt.NDArray[np.int64]
BATCH = 250
# Colours of the grid along each axis, and the part of the grid's knots that a proposal moves.
KNOTS, MOVED = 6, 0.1


def square_attack(model: nn.Module, images: Floats, labels: Labels, bound: float, queries: int) -> float:
    """The share of right ``images`` [N, 3, H, W] that Square Attack fools (Andriushchenko et al. 2020), by ART."""
    classifier = PyTorchClassifier(
        model,
        nn.CrossEntropyLoss(),
        input_shape=images.shape[1:],
        nb_classes=CLASSES,
        clip_values=(0.0, 1.0),
        device_type="cpu",
    )
    # The library draws from it.
    np.random.seed(0)
    attack = SquareAttack(classifier, eps=bound, max_iter=queries, batch_size=BATCH, verbose=False)
    moved = attack.generate(images, np.eye(CLASSES, dtype=np.float32)[labels])
    return _fooled(model, images, moved, labels)


def recoloured(model: nn.Module, images: Floats, labels: Labels, bound: float, queries: int) -> float:
    """The share of right ``images`` [N, 3, H, W] that some map of colours to colours fools.

    The map is a grid over red, green and blue, interpolated, no knot further than ``bound`` from the colour that it was
    (as ReColorAdv, Laidlaw and Feizi 2019, which descends along gradients in another space of colours). Each picture
    has its own; of random proposals those that lower its margin are kept.
    """
    chance = torch.Generator().manual_seed(0)
    values, said = torch.from_numpy(images), torch.from_numpy(labels)
    grid = torch.zeros(len(images), 3, KNOTS, KNOTS, KNOTS)
    best = _margins(model, values, said)
    for _query in range(queries):
        (still,) = torch.nonzero(best > 0, as_tuple=True)
        if not len(still):
            break
        before = grid[still]
        moved = torch.rand(before.shape, generator=chance) < MOVED
        proposed = torch.where(moved, (2 * torch.rand(before.shape, generator=chance) - 1) * bound, before)
        margins = _margins(model, _mapped(values[still], proposed), said[still])
        better = margins < best[still]
        grid[still[better]], best[still[better]] = proposed[better], margins[better]
    return _fooled(model, images, _mapped(values, grid).numpy(), labels)


def _mapped(images: torch.Tensor, grid: torch.Tensor) -> torch.Tensor:
    """``images`` with the ``grid`` [N, 3, K, K, K] of their colours added, interpolated."""
    colours = 2 * images.permute(0, 2, 3, 1)[:, None] - 1
    change = functional.grid_sample(grid, colours, align_corners=True, padding_mode="border")
    return (images + change[:, :, 0]).clamp(0, 1)


def _margins(model: nn.Module, images: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """How far the right class leads, [N]."""
    with torch.no_grad():
        scores = torch.cat([model(part) for part in images.split(BATCH)])
    right = scores.gather(1, labels[:, None])[:, 0]
    return right - scores.scatter(1, labels[:, None], -torch.inf).amax(1)


def _fooled(model: nn.Module, images: Floats, moved: npt.NDArray[np.floating], labels: Labels) -> float:
    said = torch.from_numpy(labels)
    whole = np.round(np.clip(moved, 0, 1) * 255).astype(np.float32) / 255
    before, after = (_margins(model, torch.from_numpy(shown), said) > 0 for shown in (images, whole))
    return float((before & ~after).sum() / before.sum())
