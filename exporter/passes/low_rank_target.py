"""Trainable low-rank state on linear layers (LoRA-FA: Zhang et al. 2023, arXiv 2308.03303; A fixed, B trained).

A target's output becomes, per token row x::

    y = W x + B A x                      evaluation
    y = W x + (B +- epsilon Z) A x       probe, with Z = +-1 noise of the same shape as B

B [o, r] is a slice of the flat state and Z the same slice of the noise. Both sides come from one product
``[u, s u] [B, Z]^T`` added onto ``W x``, where u = A x and s = +-epsilon is the row's sign. Linears that read the
same rows share A, so u is computed once for them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import onnx_ir as ir

from seedtune.exporter.passes.emitter import Emitter, parameter
from seedtune.exporter.passes.linear_layout import Linear
from seedtune.runtime.bundle.manifest import Target


@dataclass(frozen=True)
class Perturbation:
    """What a two-sided graph adds to B: ``signs`` [N, 1] and, per target, its noise Z [o, r]."""

    signs: ir.Value
    noise_of: Callable[[Emitter, Target], ir.Value]


def attach_targets(
    graph: ir.Graph,
    linears: Sequence[Linear],
    targets: Sequence[Target],
    state: ir.Value,
    perturbation: Perturbation | None,
    where: ir.Value | None = None,
) -> None:
    """Adds the low-rank term of every target to its linear.

    Args:
        graph: a graph whose linears are in 2-D row layout.
        linears: what `normalise_linears` returned for this graph.
        targets: the state's layout.
        state: the flat state input, [n] float32.
        perturbation: None for an evaluation graph.
        where: 1 for the token rows at which the state acts and 0 for others, [N, 1] float32; None for all of them.
    """
    projected: dict[tuple[ir.Value, str], ir.Value] = {}
    pairs = [(target, linear) for target in targets for linear in linears if linear.name == target.name]
    for target, linear in pairs:
        node = linear.output.producer()
        assert node is not None
        emit = Emitter(graph)
        if (linear.rows, target.lora_a) not in projected:
            a = parameter(graph, target.lora_a, ir.DataType.FLOAT, (target.rank, target.in_features))
            u = emit.op("Gemm", linear.rows, a, transB=1)
            if where is not None:
                u = emit.op("Mul", u, where)
            if perturbation is not None:
                u = emit.op("Concat", u, emit.op("Mul", u, perturbation.signs), axis=1)
            projected[linear.rows, target.lora_a] = u
        b = _slice_of(emit, state, target)
        if perturbation is not None:
            b = emit.op("Concat", b, perturbation.noise_of(emit, target), axis=1)
        readers = list(linear.output.uses())
        total = emit.op("Gemm", projected[linear.rows, target.lora_a], b, linear.output, transB=1)
        for reader in readers:
            reader.node.replace_input_with(reader.idx, total)
        for place, value in enumerate(graph.outputs):
            if value is linear.output:
                graph.outputs[place] = total
        graph.insert_after(node, list(emit.tape.nodes))


def _slice_of(emit: Emitter, state: ir.Value, target: Target) -> ir.Value:
    """B of ``target``, [o, r], out of the flat state [n]."""
    last = target.offset + target.out_features * target.rank
    part = emit.op("Slice", state, emit.integers(target.offset), emit.integers(last), emit.integers(0))
    return emit.op("Reshape", part, emit.integers(target.out_features, target.rank))
