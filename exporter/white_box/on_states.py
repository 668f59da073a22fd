"""Gradients of what a scan's state does to a picture: descent of the scan's own loss, by foolbox's PGD over states."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from eagerpy.astensor import astensor
from foolbox.attacks.projected_gradient_descent import LinfProjectedGradientDescentAttack
from foolbox.models.pytorch import PyTorchModel
from torch import nn

from seedtune.exporter.onnx_source.scan_graphs import NO_SCORE, WEIGHT_OF_LIKENESS, Goal
from seedtune.exporter.onnx_source.tone_map import SHIFT, ToneMap

Floats = npt.NDArray[np.float32]
# What whole bytes may take from a find: of its margin, and of its likeness.
MARGIN_SPARE, LIKENESS_SPARE = 0.3, 0.003
TINY = 1e-12


class OfState(nn.Module):
    """States [R, n] -> scores [R, L], then correlation and contrast, as [R, L + 2]: of the pictures that they make.

    The map of `tone_map.py` but for its rounding, through which no gradient goes.

    Args:
        classifier: pictures [R, C, H, W] to scores.
        change: of pictures.
        pictures: [R, C, H, W] in 0..1.
        patterns: [R, C H W]; None where there are none.
    """

    def __init__(
        self, classifier: nn.Module, change: ToneMap, pictures: torch.Tensor, patterns: torch.Tensor | None
    ) -> None:
        super().__init__()
        self._classifier, self._change = classifier, change
        self._shape, values = pictures.shape, pictures.flatten(1)
        self._values, knots = values, change.knots
        position = values * (knots - 1)
        below = position.floor().clamp(max=knots - 2)
        self._part = position - below
        channel = torch.arange(change.channels).repeat_interleave(change.pixels // change.channels)
        self._knot = below.long() + (channel * knots if change.a_channel else 0)
        self._shift = None if patterns is None else change.maps * knots + patterns * change.channels + channel
        self._identity = torch.from_numpy(change.identity())

    def pictures(self, states: torch.Tensor) -> torch.Tensor:
        """[R, C H W] in 0..1."""
        values = states + self._identity
        low, high = values.gather(1, self._knot), values.gather(1, self._knot + 1)
        found = low + self._part * (high - low)
        if self._shift is not None:
            found = found + SHIFT * values.gather(1, self._shift)
        return found.clamp(0, 1)

    def forward(self, states: torch.Tensor) -> torch.Tensor:
        """See the class."""
        found = self.pictures(states)
        centred = [each - each.mean(1, keepdim=True) for each in (self._values, found)]
        squares = [each.square().sum(1) for each in centred]
        correlation = (centred[0] * centred[1]).sum(1) / (squares[0] * squares[1] + TINY).sqrt()
        contrast = (squares[1] / (squares[0] + TINY) + TINY).sqrt()
        scores = self._classifier(found.reshape(self._shape))
        return torch.cat([scores, correlation[:, None], contrast[:, None]], 1)


class GoalAttack(LinfProjectedGradientDescentAttack):
    """Descends `scan_graphs.Goal`'s loss; a state whose loss is 0 stays where it is."""

    def __init__(self, goal: Goal, reach: float, steps: int) -> None:
        # Steps that add up to the reach: larger ones jump over the narrow way that likeness leaves.
        super().__init__(abs_stepsize=reach / steps, steps=steps, random_start=False)
        self._goal = goal

    def get_loss_fn(self, model: Any, labels: Any) -> Callable[[Any], Any]:
        """See foolbox: what is to grow, summed over the states."""
        goal = self._goal

        def loss(states: Any) -> Any:
            found = model(states).raw
            scores, correlation, contrast = found[:, :-2], found[:, -2], found[:, -1]
            place = labels.raw[:, None]
            others = scores.scatter(1, place, NO_SCORE).amax(1)
            margin = torch.relu(scores.gather(1, place)[:, 0] - others + goal.margin + MARGIN_SPARE)
            unlike = torch.relu(goal.correlation + LIKENESS_SPARE - correlation)
            pale = torch.relu(goal.contrast + LIKENESS_SPARE - contrast)
            return astensor(-(margin + WEIGHT_OF_LIKENESS * (unlike + pale)).sum())

        return loss


def descended_states(
    classifier: nn.Module,
    change: ToneMap,
    goal: Goal,
    pictures: Floats,
    patterns: npt.NDArray[np.int64] | None,
    labels: npt.NDArray[np.int64],
    states: Floats,
    reach: float,
    steps: int,
) -> Floats:
    """States [R, n] within ``reach`` of ``states``, by gradients of what they make of ``pictures`` [R, C, H, W]."""
    told = None if patterns is None else torch.from_numpy(np.asarray(patterns, np.int64))
    module = OfState(classifier, change, torch.from_numpy(pictures), told).eval()
    far = float(np.abs(states).max(initial=0.0)) + reach
    model = PyTorchModel(module, bounds=(-far, far), device="cpu")
    start, said = torch.from_numpy(states), torch.from_numpy(labels)
    found = GoalAttack(goal, reach, steps).run(model, start, said, epsilon=reach)
    return np.asarray(found.numpy(), np.float32)
