"""What a scan asks gradients for, on one classifier: `runtime/scan/asked.py`, `Gradients`."""

from __future__ import annotations

from typing import Literal

import numpy as np
import numpy.typing as npt

from seedtune.exporter.onnx_source.scan_graphs import Goal
from seedtune.exporter.onnx_source.tone_map import ToneMap
from seedtune.exporter.white_box.attack import attacked
from seedtune.exporter.white_box.differentiable import Differentiable
from seedtune.exporter.white_box.on_states import descended_states

Floats = npt.NDArray[np.float32]
Integers = npt.NDArray[np.int64]


class ClassifierGradients:
    """Attacks of one classifier.

    Args:
        module: the classifier.
        kind: of the attack on pictures.
        change: that the states of the scan are of.
        goal: of the scan.
    """

    def __init__(self, module: Differentiable, kind: Literal["pgd", "cw"], change: ToneMap, goal: Goal) -> None:
        self._module, self._kind, self._change, self._goal = module, kind, change, goal

    def on_pictures(self, starts: Floats, labels: Integers, bound: float, steps: int, seed: int) -> Floats:
        """See `attack.attacked`."""
        return np.asarray(attacked(self._module, self._kind, starts, labels, bound, steps, seed), np.float32)

    def on_states(
        self,
        pictures: Floats,
        patterns: Integers | None,
        labels: Integers,
        states: Floats,
        reach: float,
        steps: int,
    ) -> Floats:
        """See `on_states.descended_states`."""
        return descended_states(
            self._module, self._change, self._goal, pictures, patterns, labels, states, reach, steps
        )
