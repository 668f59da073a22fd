"""Nets of pictures, trained plainly or adversarially (Madry et al. 2018) with fixed seeds, and kept as ONNX."""

from __future__ import annotations

import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from torch import nn
from torch.nn import functional

import seedtune
from lab.vision.data import Pictures
from lab.vision.nets import Architecture, net
from seedtune.exporter.recipes.asymmetric.attack import descended
from seedtune.exporter.recipes.asymmetric.training import GROWTH, shifted

BATCH = 100
# Of colour pictures: Adam left their net some points below.
MOMENTUM, WEIGHT_DECAY, SMOOTHING = 0.9, 5e-4, 0.1


@dataclass(frozen=True)
class Training:
    """How a net is trained.

    Attributes:
        architecture: of `lab.vision.nets`; a net of colour pictures is trained by momentum, others by Adam.
        bound: of attacks while learning; 0 for none.
        steps: of an attack.
        step_size: of it, in parts of the bound.
        epochs: passes over the pictures.
        rate: the highest of one cycle.
        shift: pixels that each picture is moved by at most.
        mirrored: whether every other picture is.
        plain_share: of the loss under attack, that of pictures as they are.
        seed: of everything.
    """

    architecture: Architecture = "strided"
    bound: float = 0.0
    steps: int = 7
    step_size: float = 1 / 3
    epochs: int = 30
    rate: float = 2e-3
    shift: int = 2
    mirrored: bool = False
    plain_share: float = 0.0
    seed: int = 0

    @property
    def name(self) -> str:
        """Of its file."""
        return "-".join(f"{value:.3g}" if isinstance(value, float) else str(value) for value in asdict(self).values())


def tensors(pictures: Pictures) -> torch.Tensor:
    """Pictures as nets take them, [N, C, H, W] in 0..1."""
    values = torch.from_numpy(pictures.images.astype(np.float32) / 255)
    return values[:, None] if values.ndim == 3 else values.permute(0, 3, 1, 2).contiguous()


def trained(training: Training, pictures: Pictures, folder: Path, name: str) -> Path:
    """The ONNX file of the net, trained unless it is in ``folder``; its checkpoint lies beside it."""
    path = folder / f"{name}-{training.name}.onnx"
    if path.is_file():
        return path
    model, images, labels = (
        net(training.architecture, training.seed),
        tensors(pictures),
        torch.from_numpy(pictures.labels),
    )
    chance = torch.Generator().manual_seed(training.seed)
    batches, smoothing = len(images) // BATCH, SMOOTHING if training.architecture == "colour" else 0.0
    optimizer = _optimizer(training, model)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, training.rate, total_steps=training.epochs * batches)
    started = time.perf_counter()
    for epoch in range(training.epochs):
        order, right = torch.randperm(len(images), generator=chance), 0
        # A bound that grows, or nothing would be learned.
        bound = training.bound * min(1.0, (epoch + 1) / (GROWTH * training.epochs))
        for number in range(batches):
            rows = order[number * BATCH : (number + 1) * BATCH]
            shown, said = shifted(images[rows], training.shift, chance), labels[rows]
            if training.mirrored:
                turned = torch.rand(len(rows), 1, 1, 1, generator=chance) < 0.5
                shown = torch.where(turned, shown.flip(-1), shown)
            plain = shown
            if training.bound:
                shown = pgd(model.eval(), plain, said, bound, training.steps, training.step_size * bound, chance)
            scores = model.train()(shown)
            right += int((scores.argmax(1) == said).sum())
            loss = functional.cross_entropy(scores, said, label_smoothing=smoothing)
            if training.plain_share:
                loss = torch.lerp(loss, functional.cross_entropy(model(plain), said), training.plain_share)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
        seconds = time.perf_counter() - started
        print(f"{name}: epoch {epoch + 1}, {right / batches / BATCH:.1%}, {seconds:.0f} s", file=sys.stderr)
    folder.mkdir(parents=True, exist_ok=True)
    torch.save(model.state_dict(), path.with_suffix(".pt"))
    seedtune.export_classifier(model, image_shape=tuple(images.shape[1:]), out=path)
    return path


def opened(training: Training, path: Path) -> nn.Module:
    """The trained net beside ``path``, as torch has it."""
    model = net(training.architecture, training.seed)
    model.load_state_dict(torch.load(path.with_suffix(".pt"), weights_only=True))
    return model.eval()


def pgd(
    model: nn.Module,
    images: torch.Tensor,
    labels: torch.Tensor,
    bound: float,
    steps: int,
    step_size: float,
    chance: torch.Generator,
) -> torch.Tensor:
    """Pictures within ``bound`` of ``images`` [N, C, H, W] of which ``model`` is to say anything but ``labels``."""

    def right(moved: torch.Tensor) -> torch.Tensor:
        return -functional.cross_entropy(model(moved), labels, reduction="sum")

    return descended(right, images, bound, steps, step_size, chance)


def robust_accuracy(
    model: nn.Module, pictures: Pictures, bound: float, steps: int, step_size: float
) -> tuple[float, float]:
    """Accuracy on ``pictures``, and under PGD of so many steps."""
    images, labels = tensors(pictures), torch.from_numpy(pictures.labels)
    chance = torch.Generator().manual_seed(0)
    clean, robust = 0, 0
    for first in range(0, len(images), 500):
        part, said = images[first : first + 500], labels[first : first + 500]
        clean += int((model(part).argmax(1) == said).sum())
        robust += int((model(pgd(model, part, said, bound, steps, step_size, chance)).argmax(1) == said).sum())
    return clean / len(images), robust / len(images)


def _optimizer(training: Training, model: nn.Module) -> torch.optim.Optimizer:
    if training.architecture == "colour":
        return torch.optim.SGD(model.parameters(), training.rate, MOMENTUM, weight_decay=WEIGHT_DECAY, nesterov=True)
    return torch.optim.Adam(model.parameters(), training.rate)
