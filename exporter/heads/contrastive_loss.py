"""The contrastive loss of a group of rows, with a weight for each pair of an anchor and a negative.

    loss_i = -log( e^(s_ip / t) / (e^(s_ip / t) + sum_n w_in e^(s_in / t)) ) = log(1 + sum_n w_in e^((s_in - s_ip) / t))

s is the cosine of two embeddings, p the positive of anchor i, t the temperature. With every w at 1 this is InfoNCE (van
den Oord et al. 2018, equation 4). Where rows of one class meet as negatives (class collision), what pushes them apart
is wrong; so w_in = 1 - clip(cos(h_i, h_n), 0, 1) over the input features h, which the state does not move. A row is no
negative of itself, nor of an anchor whose positive it is.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import onnx_ir as ir

from seedtune.exporter.passes.emitter import OPSET, Emitter, add_input
from seedtune.runtime.bundle.heads import Contrastive

SMALLEST_NORM = 1e-12


@dataclass(frozen=True, eq=False)
class Group:
    """Rows of a step: ``features`` [U, d]; ``anchor`` and ``positive`` [A], ``negative`` [K] are places among them."""

    features: ir.Value
    anchor: ir.Value
    positive: ir.Value
    negative: ir.Value

    @classmethod
    def inputs(cls, graph: ir.Graph, features: int) -> Group:
        """As inputs of ``graph``."""
        return cls(
            add_input(graph, "features", ir.DataType.FLOAT, ["rows", features]),
            add_input(graph, "anchor", ir.DataType.INT64, ["anchors"]),
            add_input(graph, "positive", ir.DataType.INT64, ["anchors"]),
            add_input(graph, "negative", ir.DataType.INT64, ["negatives"]),
        )

    def of(self, emit: Emitter, values: ir.Value) -> tuple[ir.Value, ir.Value, ir.Value]:
        """Rows of ``values`` [U, ...]: of the anchors, of their positives, of the negatives."""
        anchor, positive, negative = (
            emit.op("Gather", values, places, axis=0) for places in (self.anchor, self.positive, self.negative)
        )
        return anchor, positive, negative


def begun(name: str, features: int, parameters: int) -> tuple[ir.Graph, Group, ir.Value]:
    """A graph with the rows of a group and the state [n] as inputs."""
    graph = ir.Graph([], [], nodes=[], opset_imports={"": OPSET}, name=name)
    group = Group.inputs(graph, features)
    return graph, group, add_input(graph, "state", ir.DataType.FLOAT, [parameters])


def pair_weights(emit: Emitter, group: Group, loss: Contrastive) -> ir.Value:
    """w of the module, [A, K] float32."""
    column = emit.integers(1)
    rows = (emit.op("Unsqueeze", places, column) for places in (group.anchor, group.positive))
    same = emit.op("Or", *(emit.op("Equal", each, group.negative) for each in rows))
    other = emit.op("Cast", emit.op("Not", same), to=ir.DataType.FLOAT)
    if not loss.collision_fix:
        return other
    anchor, _, negative = group.of(emit, unit_rows(emit, group.features))
    cosine = emit.op("Gemm", anchor, negative, transB=1)
    zero, one = (emit.constant(np.array(value, np.float32)) for value in (0, 1))
    return emit.op("Mul", emit.op("Sub", one, emit.op("Clip", cosine, zero, one)), other)


def losses(emit: Emitter, group: Group, loss: Contrastive, embeddings: ir.Value, weights: ir.Value) -> ir.Value:
    """The loss of each anchor, [A], for ``embeddings`` [U, d] and ``weights`` [A, K]."""
    anchor, positive, negative = group.of(emit, unit_rows(emit, embeddings))
    axis = emit.integers(1)
    near = emit.op("ReduceSum", emit.op("Mul", anchor, positive), axis, keepdims=1)
    far = emit.op("Gemm", anchor, negative, transB=1)
    ahead = emit.op("Div", emit.op("Sub", far, near), emit.constant(np.array(loss.temperature, np.float32)))
    pushed = emit.op("ReduceSum", emit.op("Mul", weights, emit.op("Exp", ahead)), axis, keepdims=0)
    return emit.op("Log", emit.op("Add", pushed, emit.constant(np.array(1, np.float32))))


def unit_rows(emit: Emitter, values: ir.Value) -> ir.Value:
    """``values`` [U, d] with rows of unit length; a row of zeros stays one."""
    norm = emit.op("ReduceL2", values, emit.integers(1), keepdims=1)
    return emit.op("Div", values, emit.op("Max", norm, emit.constant(np.array(SMALLEST_NORM, np.float32))))
