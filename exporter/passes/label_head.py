"""A linear head on the hidden state beside the label rows: trainable state that closed forms can solve for.

With h the hidden state that the language-model head reads at the label position, u = h / ||h||, and lm the label scores
that it gives, the scores become::

    (1 + s) lm + W u + b                                        evaluation
    (1 + s +- epsilon z) lm + (W +- epsilon Z) u + b +- epsilon y    probe

where W [L, H], b [L] and s [1] lie in the flat state in this order, and Z, y and z are the same slices of the noise. A
state of zero is the untouched model. Both sides come from one product ``[u, e u] [W, Z]^T``, e = +-epsilon the sign of
the row, as in `low_rank_target.py`. u has unit length, so that noise on W moves a score as far as noise on b, whatever
the scale of the hidden states.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import onnx_ir as ir

from seedtune.exporter.passes.emitter import Emitter
from seedtune.runtime.bundle.manifest import Head

# Added to the squared length of a hidden state, so that one of zeros has a direction of zeros.
TINY = 1e-24


@dataclass(frozen=True)
class HeadPerturbation:
    """What a two-sided graph adds to the head.

    Attributes:
        epsilon: half the distance between the sides, [1] float32.
        noise_of: the noise of the whole head, [L H + L + 1].
    """

    epsilon: ir.Value
    noise_of: Callable[[Emitter, Head], ir.Value]


def add_label_head(
    graph: ir.Graph,
    scores: ir.Value,
    hidden: ir.Value,
    head: Head,
    state: ir.Value,
    perturbation: HeadPerturbation | None,
) -> ir.Value:
    """Appends the head and returns the scores with it, [N, L] float32.

    Args:
        graph: changed in place.
        scores: lm, [N, L] float32; of a two-sided graph the rows of the plus side come first.
        hidden: h of the same rows, [N, H] float32.
        head: where it lies in the state.
        state: the flat state, [n] float32.
        perturbation: None for an evaluation graph.
    """
    emit = Emitter(graph)
    square = emit.op("ReduceSum", emit.op("Mul", hidden, hidden), emit.integers(1), keepdims=1)
    unit = emit.op("Div", hidden, emit.op("Sqrt", emit.op("Add", square, emit.constant(np.array([TINY], np.float32)))))
    whole = emit.op(
        "Slice", state, emit.integers(head.offset), emit.integers(head.offset + head.parameters), emit.integers(0)
    )
    weight, bias, scale = _parts(emit, whole, head)
    factor = emit.op("Add", scale, emit.constant(np.array([1.0], np.float32)))
    if perturbation is not None:
        of_noise = _parts(emit, perturbation.noise_of(emit, head), head)
        signs = _signs(emit, scores, perturbation.epsilon)
        unit = emit.op("Concat", unit, emit.op("Mul", unit, signs), axis=1)
        weight = emit.op("Concat", weight, of_noise[0], axis=1)
        bias = emit.op("Add", bias, emit.op("Mul", signs, of_noise[1]))
        factor = emit.op("Add", factor, emit.op("Mul", signs, of_noise[2]))
    product = emit.op("Gemm", unit, weight, emit.op("Mul", scores, factor), transB=1)
    total = emit.op("Add", product, bias)
    emit.append()
    return total


def _parts(emit: Emitter, whole: ir.Value, head: Head) -> tuple[ir.Value, ir.Value, ir.Value]:
    """W [L, H], b [L] and s [1] of ``whole`` [L H + L + 1]."""
    weights, both = head.labels * head.features, head.labels * (head.features + 1)
    flat, bias, scale = (
        emit.op("Slice", whole, emit.integers(first), emit.integers(last), emit.integers(0))
        for first, last in ((0, weights), (weights, both), (both, both + 1))
    )
    return emit.op("Reshape", flat, emit.integers(head.labels, head.features)), bias, scale


def _signs(emit: Emitter, scores: ir.Value, epsilon: ir.Value) -> ir.Value:
    """+epsilon for the first half of the rows of ``scores`` and -epsilon for the others, [N, 1]."""
    rows = emit.op("Div", emit.op("Shape", scores, start=0, end=1), emit.integers(2))
    plus = emit.op("Expand", epsilon, emit.op("Concat", rows, emit.integers(1), axis=0))
    return emit.op("Concat", plus, emit.op("Neg", plus), axis=0)
