"""The oracle of `bench heads`: Adam with exact gradients on the same head, by torch, over the same groups of rows."""

from __future__ import annotations

import numpy as np
import torch

from seedtune.runtime.bundle.heads import Contrastive
from seedtune.runtime.bundle.reader import Bundle
from seedtune.runtime.heads.coupled import CoupledRows
from seedtune.runtime.heads.rows import open_rows

# Measured: more steps and other rates gave no better embeddings (docs/log/2026-11-27.md, "Heads").
STEPS, LEARNING_RATE = 400, 1e-2


def tuned_by_adam(bundle: Bundle, seed: int, batch_size: int) -> np.ndarray:
    """The state [d * d] of a bundle of form "full" after Adam, whose rate falls linearly to 0."""
    rows = open_rows(bundle)
    loss = rows.objective.loss
    assert isinstance(loss, Contrastive)
    feeder = CoupledRows(rows, loss)
    width = rows.objective.features
    change = torch.zeros(width, width, requires_grad=True)
    optimizer = torch.optim.Adam([change], lr=LEARNING_RATE)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: (STEPS - step) / STEPS)
    for step in range(STEPS):
        (batch,) = feeder.batches(feeder.group(seed, step, batch_size), 1)
        arrays = {name: torch.from_numpy(values) for name, values in batch.arrays.items()}
        optimizer.zero_grad()
        contrastive_loss(arrays, change, loss).backward()
        optimizer.step()
        schedule.step()
    found: np.ndarray = change.detach().numpy().reshape(-1)
    return found


def contrastive_loss(arrays: dict[str, torch.Tensor], change: torch.Tensor, loss: Contrastive) -> torch.Tensor:
    """The mean loss of a group, as the formulas of docs/guides/heads.md have it."""
    features, anchor, positive, negative = (arrays[name] for name in ("features", "anchor", "positive", "negative"))
    unit = torch.nn.functional.normalize(features + features @ change.T)
    near = (unit[anchor] * unit[positive]).sum(1, keepdim=True)
    far = unit[anchor] @ unit[negative].T
    same = (anchor[:, None] == negative[None]) | (positive[:, None] == negative[None])
    weights = (~same).float()
    if loss.collision_fix:
        given = torch.nn.functional.normalize(features)
        weights = weights * (1 - (given[anchor] @ given[negative].T).clamp(0, 1))
    return torch.log1p((weights * torch.exp((far - near) / loss.temperature)).sum(1)).mean()
