"""Small nets for pictures, untrained: the architectures of the bench of scans."""

from __future__ import annotations

from typing import Literal

import torch
from torch import nn

Architecture = Literal["strided", "pooled", "dense", "colour"]
# Halved twice.
GREY_AREA = 28 * 28
CLASSES = 10


def net(architecture: Architecture, seed: int) -> nn.Sequential:
    """An untrained net of pictures [N, C, H, W] in 0..1, with as many scores as `CLASSES`.

    Args:
        architecture: "strided", two convolutions that halve; "pooled", two larger ones and pooling; "dense", two
            layers without convolutions; these of grey pictures of 28 x 28. "colour", five convolutions with batch
            normalisation, of colour pictures of any size from 8 x 8 on.
        seed: of the first weights.
    """
    torch.manual_seed(seed)
    match architecture:
        case "strided":
            parts = [*_convolution(1, 16, 4, stride=2), *_convolution(16, 32, 4, stride=2)]
            return nn.Sequential(*parts, *_head(32 * GREY_AREA // 16, 100))
        case "pooled":
            parts = [*_convolution(1, 16, 5, padding=2), nn.MaxPool2d(2)]
            parts += [*_convolution(16, 32, 5, padding=2), nn.MaxPool2d(2)]
            return nn.Sequential(*parts, *_head(32 * GREY_AREA // 16, 128))
        case "dense":
            return nn.Sequential(nn.Flatten(), nn.Linear(GREY_AREA, 256), nn.ReLU(), *_head(256, 256))
        case "colour":
            return _colour_net()


def _convolution(channels: int, filters: int, size: int, *, stride: int = 1, padding: int = 1) -> list[nn.Module]:
    return [nn.Conv2d(channels, filters, size, stride=stride, padding=padding), nn.ReLU()]


def _head(inputs: int, hidden: int) -> list[nn.Module]:
    return [nn.Flatten(), nn.Linear(inputs, hidden), nn.ReLU(), nn.Linear(hidden, CLASSES)]


def _colour_net() -> nn.Sequential:
    # Few filters while the picture is large: a pass costs 13 million products.
    parts: list[nn.Module] = []
    channels = 3
    for filters, pooled in ((24, True), (64, True), (128, False), (128, True), (192, False)):
        parts += [nn.Conv2d(channels, filters, 3, padding=1, bias=False), nn.BatchNorm2d(filters), nn.ReLU()]
        parts += [nn.MaxPool2d(2)] if pooled else []
        channels = filters
    return nn.Sequential(*parts, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Dropout(0.2), nn.Linear(channels, CLASSES))
