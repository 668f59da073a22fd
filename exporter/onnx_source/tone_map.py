"""Changes an image and keeps its structure: equal pixels stay equal, as every pixel's value goes through one curve.

A reconstruction from the abstracts of "structure-preserving transformation" and "structure-preserving attack": an
image keeps the patterns that a person reads while pixels that were equal stay equal. The curve here is piecewise linear
with K knots a map; the state moves the knots from the identity. ``spt`` has one map for all values. ``spa`` has a map a
channel, and moves each pattern of the picture (its pixels with one number, see `runtime/scan/patterns.py`) by an amount
of its own a channel besides.

    y = clip(round(255 (interpolate(x; k/(K-1) + state_k) + shift[pattern, channel] / 8)) / 255, 0, 1)

Rounded, because a picture has bytes: what is found can be saved, and fools as it was saved.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import onnx_ir as ir

from seedtune.exporter.onnx_source.pictures import in_bytes
from seedtune.exporter.passes.emitter import Emitter
from seedtune.runtime.noise import BITS_PER_WORD

# How far a pattern moves where a knot moves by 1. At 1 a probe that moves knots far tears patterns apart: the search of
# digits found 28 instead of 93 % (docs/log/2026-11-27.md, "Gradients on top of a scan").
SHIFT = 0.125


@dataclass(frozen=True)
class ToneMap:
    """The parameters of the state, in order: knots of each map, then shifts of each pattern.

    Attributes:
        knots: K of a curve, at least 2.
        channels: C of an image.
        pixels: P = C H W values, channels first.
        a_channel: a map a channel; else one for all.
        patterns: S of an image that have a shift of their own; 0 for none.
    """

    knots: int
    channels: int
    pixels: int
    a_channel: bool = False
    patterns: int = 0

    @property
    def maps(self) -> int:
        """How many curves there are."""
        return self.channels if self.a_channel else 1

    @property
    def used(self) -> int:
        """Parameters that change something."""
        return self.maps * self.knots + self.patterns * self.channels

    @property
    def parameters(self) -> int:
        """n: ``used``, filled up to whole words of noise."""
        return -(-self.used // BITS_PER_WORD) * BITS_PER_WORD

    def identity(self) -> np.ndarray:
        """[n] float32: to which the state is added."""
        values = np.zeros(self.parameters, np.float32)
        steps = np.arange(self.knots, dtype=np.float32) / np.float32(self.knots - 1)
        values[: self.maps * self.knots] = np.tile(steps, self.maps)
        return values

    def changed(self, emit: Emitter, image: ir.Value, state: ir.Value, pattern: ir.Value | None) -> ir.Value:
        """The image of each state, [R, P] float32 in 0..1.

        Args:
            emit: takes the nodes.
            image: [R, P] float32 in 0..1.
            state: [R, n].
            pattern: [R, P] int64, the pattern of each value; None where there are none.
        """
        knots, of_channel = self.knots, self.pixels // self.channels
        values = emit.op("Add", state, emit.constant(self.identity()))
        position = emit.op("Mul", image, emit.constant(np.array(knots - 1, np.float32)))
        below = emit.op("Min", emit.op("Floor", position), emit.constant(np.array(knots - 2, np.float32)))
        part = emit.op("Sub", position, below)
        channel = np.repeat(np.arange(self.channels), of_channel)
        place = emit.op("Cast", below, to=ir.DataType.INT64)
        if self.a_channel and self.channels > 1:
            place = emit.op("Add", place, emit.constant(channel * knots))
        low = emit.op("GatherElements", values, place, axis=1)
        high = emit.op("GatherElements", values, emit.op("Add", place, emit.integers(1)), axis=1)
        found = emit.op("Add", low, emit.op("Mul", part, emit.op("Sub", high, low)))
        if pattern is not None:
            first = emit.constant(self.maps * knots + channel)
            place = emit.op("Add", emit.op("Mul", pattern, emit.integers(self.channels)), first)
            shift = emit.op("GatherElements", values, place, axis=1)
            found = emit.op("Add", found, emit.op("Mul", shift, emit.constant(np.array(SHIFT, np.float32))))
        return in_bytes(emit, found)
