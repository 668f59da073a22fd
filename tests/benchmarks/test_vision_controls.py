"""Controls of colour pictures: a map of colours moves none further than its bound, and fools who is near the border."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import pytest
import torch

from lab.vision.colour_controls import recoloured, square_attack

Attack = Callable[[torch.nn.Module, npt.NDArray[np.float32], npt.NDArray[np.int64], float, int], float]
pytestmark = pytest.mark.traced


class Reddish(torch.nn.Module):
    """Says 1 where the mean red is above a half."""

    def forward(self, pictures: torch.Tensor) -> torch.Tensor:
        red = pictures[:, 0].mean((1, 2)) - 0.5
        scores = torch.full((len(pictures), 10), -9.0)
        return torch.cat([-red[:, None], red[:, None], scores[:, 2:]], 1)


@pytest.mark.parametrize("attack", [recoloured, square_attack])
def test_only_who_is_nearer_to_the_border_than_the_bound_is_fooled(attack: Attack) -> None:
    pictures = 0.5 * torch.rand(12, 3, 8, 8, generator=torch.Generator().manual_seed(0)) + 0.25
    wanted = torch.linspace(0.3, 0.7, 12)
    pictures[:, 0] += (wanted - pictures[:, 0].mean((1, 2)))[:, None, None]
    labels = (wanted > 0.5).long()
    share = attack(Reddish().eval(), pictures.numpy(), labels.numpy(), 0.1, 300)
    near = (wanted - 0.5).abs() < 0.1
    assert 0 < share <= float(near.float().mean()) + 1e-6
