"""Learning: pictures attacked, some toward a random class t and some away from their own, then a step on five losses.

    x_a: of a share of the pictures PGD on CE(joint(x_a), t), t != y; of the others PGD on -CE(r(x_a), y)
    CE(joint(x), y) + CE(r(x), y) + CE(n(x), y) + a CE(r(x_a), y) + b CE(n(x_a), t), the last over the share alone

The asymmetry: of the same picture the robust head is to say what it shows, the non-robust one what it was turned into.
An attack on the joint classifier alone gets its way through the non-robust features, which are taught to give way; the
robust head then never meets an attack of its own, and is not robust (docs/log/2026-11-27.md).
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import torch
from torch.nn import functional

from seedtune.exporter.recipes.asymmetric.attack import descended, other_classes
from seedtune.exporter.recipes.asymmetric.nets import AsymmetricNet
from seedtune.runtime.errors import SeedTuneError
from seedtune.runtime.recipes.asymmetric_settings import AsymmetricSettings

# Part of the epochs in which the bound grows to its whole, or nothing would be learned.
GROWTH = 0.3


class Learning:
    """A net that learns.

    Args:
        pictures: [N, channels, height, width] float32 in 0..1.
        labels: [N] int64, 0 to C - 1.
        classes: C.
        settings: of the recipe.
    """

    def __init__(
        self, pictures: torch.Tensor, labels: torch.Tensor, classes: int, settings: AsymmetricSettings
    ) -> None:
        self._pictures, self._labels, self.classes, self.settings = pictures, labels, classes, settings
        self._generator = torch.Generator().manual_seed(settings.seed)
        _count, channels, height, width = pictures.shape
        self.net = AsymmetricNet(
            (channels, height, width),
            classes,
            settings.robust_dimensions,
            settings.non_robust_dimensions,
            self._generator,
        )

    def epochs(self) -> Iterator[float]:
        """The mean loss of each epoch, as it is made.

        Raises:
            SeedTuneError: a loss is not finite.
        """
        settings = self.settings
        batches = max(1, len(self._pictures) // settings.batch_size)
        optimizer = torch.optim.Adam(self.net.parameters(), lr=settings.learning_rate)
        schedule = torch.optim.lr_scheduler.OneCycleLR(
            optimizer, settings.learning_rate, total_steps=settings.epochs * batches
        )
        for epoch in range(settings.epochs):
            bound = settings.bound * min(1.0, (epoch + 1) / (GROWTH * settings.epochs))
            order, total = torch.randperm(len(self._pictures), generator=self._generator), 0.0
            for number in range(batches):
                rows = order[number * settings.batch_size : (number + 1) * settings.batch_size]
                loss = self.loss(shifted(self._pictures[rows], settings.shift, self._generator), rows, bound)
                total += float(loss.detach())
                optimizer.zero_grad()
                torch.autograd.backward(loss)
                optimizer.step()
                schedule.step()
            if not math.isfinite(total):
                raise SeedTuneError(
                    f"the loss of epoch {epoch + 1} is no number",
                    value=total,
                    rule="a finite loss",
                    remedy="give a lower --learning-rate",
                )
            yield total / batches

    def loss(self, pictures: torch.Tensor, rows: torch.Tensor, bound: float) -> torch.Tensor:
        """See the module docstring: of ``pictures`` [B, ...], which are those of ``rows`` as they are shown."""
        settings, labels = self.settings, self._labels[rows]
        targets = other_classes(labels, self.classes, self._generator)
        # In no order, so that the first are as any others.
        aimed = torch.arange(len(rows)) < max(1, round(settings.target_share * len(rows)))
        attacked = self.attacked(pictures, labels, targets, aimed, ~aimed, bound, self._generator)
        plain, moved = self.net.answers(pictures), self.net.answers(attacked)
        return (
            functional.cross_entropy(plain.logits, labels)
            + functional.cross_entropy(plain.robust, labels)
            + functional.cross_entropy(plain.non_robust, labels)
            + settings.robust_weight * functional.cross_entropy(moved.robust, labels)
            + settings.target_weight * functional.cross_entropy(moved.non_robust[aimed], targets[aimed])
        )

    def attacked(
        self,
        pictures: torch.Tensor,
        labels: torch.Tensor,
        targets: torch.Tensor,
        aimed: torch.Tensor,
        away: torch.Tensor,
        bound: float,
        chance: torch.Generator,
    ) -> torch.Tensor:
        """``pictures`` [B, ...] attacked: where ``aimed`` toward ``targets``, where ``away`` away from ``labels``, [B].

        The former is an attack on the joint classifier, the latter one on the robust one.
        """

        def loss(moved: torch.Tensor) -> torch.Tensor:
            found = self.net.answers(moved)
            toward = functional.cross_entropy(found.logits, targets, reduction="none")
            right = functional.cross_entropy(found.robust, labels, reduction="none")
            return (toward * aimed - right * away).sum()

        steps, step_size = self.settings.attack_steps, self.settings.attack_step * bound
        return descended(loss, pictures, bound, steps, step_size, chance)


def shifted(pictures: torch.Tensor, most: int, generator: torch.Generator) -> torch.Tensor:
    """``pictures`` [B, C, H, W], each moved by up to ``most`` pixels along each axis, black coming in."""
    if not most:
        return pictures
    count, _channels, height, width = pictures.shape
    padded = functional.pad(pictures, (most, most, most, most))
    down, right = (torch.randint(0, 2 * most + 1, (count, 1), generator=generator) for _axis in range(2))
    rows, columns = down + torch.arange(height), right + torch.arange(width)
    # Channels last where three axes are indexed, and back.
    moved = padded.permute(0, 2, 3, 1)[torch.arange(count)[:, None, None], rows[:, :, None], columns[:, None, :]]
    return moved.permute(0, 3, 1, 2).contiguous()
