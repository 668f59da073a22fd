"""Changes each value of an image by itself within a bound: the usual kind of adversarial picture, as a control.

y = clip(round(255 (x + bound clip(state, -1, 1))) / 255, 0, 1)
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import onnx_ir as ir

from seedtune.exporter.onnx_source.pictures import in_bytes
from seedtune.exporter.passes.emitter import Emitter
from seedtune.runtime.noise import BITS_PER_WORD


@dataclass(frozen=True)
class PixelMap:
    """A parameter a value, filled up to whole words of noise.

    Attributes:
        pixels: P.
        bound: how far a value may go.
    """

    pixels: int
    bound: float
    patterns: int = 0

    @property
    def parameters(self) -> int:
        """n."""
        return -(-self.pixels // BITS_PER_WORD) * BITS_PER_WORD

    def changed(self, emit: Emitter, image: ir.Value, state: ir.Value, pattern: ir.Value | None) -> ir.Value:
        """See `Change`."""
        assert pattern is None
        own = emit.op("Slice", state, emit.integers(0), emit.integers(self.pixels), emit.integers(1))
        ends = (emit.constant(np.array(end, np.float32)) for end in (-1, 1))
        step = emit.op("Mul", emit.op("Clip", own, *ends), emit.constant(np.array(self.bound, np.float32)))
        return in_bytes(emit, emit.op("Add", image, step))
