"""Small convolution nets for grey pictures of 28 x 28 and colour ones of 32 x 32, kept as ONNX.

Trained plainly or adversarially (Madry et al. 2018) by PGD inside the bound; pictures are moved by a few pixels while
learning, as there are few, and colour ones mirrored.
"""

from __future__ import annotations

import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from torch import nn

import seedtune
from lab.vision.data import Pictures


@dataclass(frozen=True)
class Training:
    """How a net is trained: ``bound`` 0 is plainly; ``steps`` and ``step_size`` of PGD while learning.

    ``wide`` is another architecture: larger kernels and pooling instead of strides; ``colour`` one for colour pictures,
    whatever ``wide``.
    """

    bound: float = 0.0
    steps: int = 7
    step_size: float = 0.1
    epochs: int = 30
    batch: int = 100
    rate: float = 2e-3
    shift: int = 2
    wide: bool = False
    seed: int = 0
    colour: bool = False

    @property
    def name(self) -> str:
        """Of its file."""
        return "-".join(f"{value:g}" if isinstance(value, float) else str(value) for value in asdict(self).values())

    def shown(self, images: torch.Tensor) -> torch.Tensor:
        """``images`` [N, C, H, W] as they are learned from."""
        if self.colour:
            turned = torch.rand(len(images)) < 0.5
            images = torch.where(turned[:, None, None, None], images.flip(-1), images)
        return _shifted(images, self.shift)


def tensors(pictures: Pictures) -> torch.Tensor:
    """Pictures as nets take them, [N, C, H, W] in 0..1."""
    values = torch.from_numpy(pictures.images.astype(np.float32) / 255)
    return values[:, None] if values.ndim == 3 else values.permute(0, 3, 1, 2).contiguous()


def net(training: Training, classes: int = 10) -> nn.Sequential:
    """The untrained net."""
    torch.manual_seed(training.seed)
    if training.colour:
        return _colour_net(classes)
    if training.wide:
        layers = [
            nn.Conv2d(1, 16, 5, padding=2),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Conv2d(16, 32, 5, padding=2),
            nn.ReLU(),
        ]
        return nn.Sequential(
            *layers, nn.MaxPool2d(2), nn.Flatten(), nn.Linear(32 * 49, 128), nn.ReLU(), nn.Linear(128, classes)
        )
    layers = [nn.Conv2d(1, 16, 4, stride=2, padding=1), nn.ReLU(), nn.Conv2d(16, 32, 4, stride=2, padding=1), nn.ReLU()]
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(32 * 49, 100), nn.ReLU(), nn.Linear(100, classes))


def _colour_net(classes: int) -> nn.Sequential:
    layers: list[nn.Module] = []
    channels = 3
    for wide in (32, 64, 128):
        for _repeat in range(2):
            layers += [nn.Conv2d(channels, wide, 3, padding=1, bias=False), nn.BatchNorm2d(wide), nn.ReLU()]
            channels = wide
        layers += [nn.MaxPool2d(2)]
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Dropout(0.3), nn.Linear(channels, classes))


def pgd(
    model: nn.Module, images: torch.Tensor, labels: torch.Tensor, bound: float, steps: int, step_size: float
) -> torch.Tensor:
    """Projected gradient ascent of the loss within ``bound`` of ``images`` [N, C, H, W], from a random start."""
    moved = (images + torch.empty_like(images).uniform_(-bound, bound)).clamp(0, 1)
    for _step in range(steps):
        moved.requires_grad_(True)
        loss = nn.functional.cross_entropy(model(moved), labels)
        (gradient,) = torch.autograd.grad(loss, moved)
        moved = moved.detach() + step_size * gradient.sign()
        moved = torch.minimum(torch.maximum(moved, images - bound), images + bound).clamp(0, 1)
    return moved.detach()


def trained(training: Training, pictures: Pictures, folder: Path, name: str) -> Path:
    """The ONNX file of the net, trained unless it is in ``folder``; its checkpoint lies beside it."""
    path = folder / f"{name}-{training.name}.onnx"
    if path.is_file():
        return path
    model = net(training)
    images, labels = tensors(pictures), torch.from_numpy(pictures.labels)
    optimizer = torch.optim.Adam(model.parameters(), lr=training.rate)
    batches = len(images) // training.batch
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, training.rate, total_steps=training.epochs * batches)
    started = time.perf_counter()
    for epoch in range(training.epochs):
        order, right = torch.randperm(len(images)), 0
        for number in range(batches):
            rows = order[number * training.batch : (number + 1) * training.batch]
            shown, said = training.shown(images[rows]), labels[rows]
            if training.bound:
                # A bound that grows, or nothing would be learned.
                bound = training.bound * min(1.0, (epoch + 1) / (0.3 * training.epochs))
                shown = pgd(model, shown, said, bound, training.steps, training.step_size * bound / training.bound)
            scores = model(shown)
            right += int((scores.argmax(1) == said).sum())
            optimizer.zero_grad()
            nn.functional.cross_entropy(scores, said).backward()
            optimizer.step()
            schedule.step()
        seconds = time.perf_counter() - started
        print(f"{name}: epoch {epoch + 1}, {right / batches / training.batch:.1%}, {seconds:.0f} s", file=sys.stderr)
    folder.mkdir(parents=True, exist_ok=True)
    torch.save(model.state_dict(), path.with_suffix(".pt"))
    seedtune.export_classifier(model, image_shape=tuple(images.shape[1:]), out=path)
    return path


def opened(training: Training, path: Path) -> nn.Module:
    """The trained net beside ``path``, as torch has it."""
    model = net(training)
    model.load_state_dict(torch.load(path.with_suffix(".pt"), weights_only=True))
    return model.eval()


def robust_accuracy(
    model: nn.Module, pictures: Pictures, bound: float, steps: int, step_size: float
) -> tuple[float, float]:
    """Accuracy on ``pictures``, and under PGD of so many steps."""
    images, labels = tensors(pictures), torch.from_numpy(pictures.labels)
    torch.manual_seed(0)
    clean, robust = 0, 0
    for first in range(0, len(images), 500):
        part, said = images[first : first + 500], labels[first : first + 500]
        clean += int((model(part).argmax(1) == said).sum())
        robust += int((model(pgd(model, part, said, bound, steps, step_size)).argmax(1) == said).sum())
    return clean / len(images), robust / len(images)


def _shifted(images: torch.Tensor, most: int) -> torch.Tensor:
    if not most:
        return images
    down, right = (int(torch.randint(-most, most + 1, ())) for _axis in range(2))
    padded = nn.functional.pad(images, (most, most, most, most))
    height, width = images.shape[-2:]
    return padded[..., most + down : most + down + height, most + right : most + right + width]
