"""Linear layers whose change is the state: the identity or given weights, plus what the state S adds.

    form        S                        change of y = x W^T, x [R, i] and y [R, o]
    full        [o, i]                   x S^T
    low-rank    [o, r], A [r, i] fixed   (x A^T) S^T        LoRA-FA (arXiv 2308.03303), A as of every other target
    diagonal    [i]                      (x * S) W^T        a factor for each column

A change is linear in S. So one side of a probe is the output at the state plus or minus epsilon times the change that
the noise makes in the place of S, and both sides share everything else.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import onnx_ir as ir

from seedtune.exporter.passes.emitter import Emitter
from seedtune.exporter.passes.noise import noise_halves, sign_table, signs_of
from seedtune.runtime.bundle.heads import Form
from seedtune.runtime.bundle.low_rank import lora_a_values
from seedtune.runtime.bundle.manifest import StateLayout, Target
from seedtune.runtime.noise import BITS_PER_WORD

Floats = np.ndarray


@dataclass(frozen=True, eq=False)
class Start:
    """A layer before any step: its name, and its weights [o, i] float32; None for the identity of i = o = ``size``."""

    name: str
    size: int
    weights: Floats | None = None

    @property
    def outputs(self) -> int:
        """The letter o of the module."""
        return self.size if self.weights is None else len(self.weights)


@dataclass(frozen=True, eq=False)
class Layer:
    """A layer with its place in the state; ``lora_a`` [r, i] is None but for low-rank."""

    start: Start
    target: Target
    form: Form
    lora_a: Floats | None

    def output(self, emit: Emitter, x: ir.Value, state: ir.Value) -> ir.Value:
        """What the layer makes of ``x`` [R, i] at ``state`` [n]: [R, o]."""
        first = self.target.offset
        last = first + self.target.out_features * self.target.rank
        part = emit.op("Slice", state, emit.integers(first), emit.integers(last), emit.integers(0))
        return emit.op("Add", self._whole(emit, x), self.change(emit, x, self._shaped(emit, part)))

    def noise(self, emit: Emitter, noise: ir.Value, table: ir.Value) -> ir.Value:
        """The signs of the layer's part of the state, as :meth:`change` takes them."""
        count = self.target.out_features * self.target.rank
        return self._shaped(emit, signs_of(emit, noise, table, self.target.offset, (count,)))

    def change(self, emit: Emitter, x: ir.Value, matrix: ir.Value) -> ir.Value:
        """What ``matrix`` in the place of S adds for ``x`` [R, i]: [R, o]."""
        if self.form == "diagonal":
            return self._whole(emit, emit.op("Mul", x, matrix))
        if self.lora_a is not None:
            x = emit.op("Gemm", x, emit.constant(self.lora_a), transB=1)
        return emit.op("Gemm", x, matrix, transB=1)

    def _whole(self, emit: Emitter, x: ir.Value) -> ir.Value:
        weights = self.start.weights
        return x if weights is None else emit.op("Gemm", x, emit.constant(weights), transB=1)

    def _shaped(self, emit: Emitter, flat: ir.Value) -> ir.Value:
        if self.form == "diagonal":
            return flat
        return emit.op("Reshape", flat, emit.integers(self.target.out_features, self.target.rank))


def laid_out(starts: Sequence[Start], form: Form, rank: int, adapter_seed: int) -> tuple[StateLayout, list[Layer]]:
    """The layers of a bundle, one behind the other in the state.

    Args:
        starts: in order.
        form: of all of them.
        rank: r of low-rank.
        adapter_seed: of every A.
    """
    targets: list[Target] = []
    end = 0
    for start in starts:
        outputs, columns = start.outputs, start.size
        if form == "diagonal":
            outputs, columns = start.size, 1
        elif form == "low-rank":
            columns = rank
        name = f"{start.name}.lora_A.weight" if form == "low-rank" else ""
        targets.append(Target(start.name, name, end, outputs, start.size, columns))
        end += -(-outputs * columns // BITS_PER_WORD) * BITS_PER_WORD
    layout = StateLayout(end, max(target.rank for target in targets), adapter_seed, tuple(targets))
    fixed = lora_a_values(layout) if form == "low-rank" else {}
    layers = [
        Layer(start, target, form, fixed.get(target.lora_a)) for start, target in zip(starts, targets, strict=True)
    ]
    return layout, layers


@dataclass(frozen=True, eq=False)
class Noise:
    """The noise of a probe, as :meth:`Layer.noise` takes it, and the length of a step along it, [1] float32."""

    halves: ir.Value
    table: ir.Value
    epsilon: ir.Value

    @classmethod
    def of(cls, emit: Emitter, seed: ir.Value, epsilon: ir.Value, parameters: int) -> Noise:
        """That of ``seed`` [1] int64 for a state of ``parameters`` values."""
        halves = noise_halves(emit, emit.op("Cast", seed, to=ir.DataType.UINT32), parameters)
        return cls(emit.op("Squeeze", halves, emit.integers(0)), sign_table(emit), epsilon)


def both_sides(emit: Emitter, layer: Layer, x: ir.Value, state: ir.Value, noise: Noise) -> tuple[ir.Value, ir.Value]:
    """What ``layer`` makes of ``x`` [R, i] at state + epsilon z and at state - epsilon z, [R, o] each."""
    middle = layer.output(emit, x, state)
    away = layer.change(emit, x, layer.noise(emit, noise.halves, noise.table))
    away = emit.op("Mul", away, noise.epsilon)
    return emit.op("Add", middle, away), emit.op("Sub", middle, away)
