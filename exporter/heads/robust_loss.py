"""The loss of three heads: one reads robust features r, one non-robust features n, one both; x_a is the twin of x.

    loss = CE(joint(r(x), n(x)), y) + CE(robust(r(x)), y) + CE(non_robust(n(x)), y)
           + a CE(robust(r(x_a)), y) + b CE(non_robust(n(x_a)), t)

y is the label of x, and t the class that x_a was made to look like. The robust head shall read an adversarial picture
as people do, the non-robust one as the attack has it. A row without a twin has neither of the last two terms.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import onnx_ir as ir

from seedtune.exporter.passes.emitter import OPSET, Emitter, add_input
from seedtune.exporter.passes.label_loss import add_label_loss
from seedtune.runtime.bundle.heads import RobustHeads

FLOAT, INT64 = ir.DataType.FLOAT, ir.DataType.INT64
# Of the layers, and of their outputs here.
HEADS = ("robust", "non_robust", "joint")


@dataclass(frozen=True, eq=False)
class Read:
    """What each layer reads of the rows, [B, i + 1] with a column of ones for the bias: clean, then adversarial."""

    clean: Sequence[ir.Value]
    adversarial: Sequence[ir.Value]


@dataclass(frozen=True, eq=False)
class Truth:
    """``label`` and ``target`` [B] int64, and ``partner`` [B] float32: 1 where a row has a twin, else 0."""

    label: ir.Value
    target: ir.Value
    partner: ir.Value


def begun(name: str, loss: RobustHeads, parameters: int) -> tuple[ir.Graph, Emitter, Read, Truth, ir.Value]:
    """A graph with rows and the state [n] as inputs."""
    graph = ir.Graph([], [], nodes=[], opset_imports={"": OPSET}, name=name)
    widths = (loss.robust_features, loss.non_robust_features)
    clean, adversarial = (
        [add_input(graph, f"{name}{of}", FLOAT, ["batch", width]) for name, width in zip(NAMES, widths, strict=True)]
        for of in ("", "_adversarial")
    )
    truth = Truth(*(add_input(graph, name, kind, ["batch"]) for name, kind in TRUTH))
    state = add_input(graph, "state", FLOAT, [parameters])
    emit = Emitter(graph)
    return graph, emit, Read(_read(emit, clean), _read(emit, adversarial)), truth, state


NAMES = ("z_robust", "z_non_robust")
TRUTH = (("label", INT64), ("target", INT64), ("partner", FLOAT))


def _read(emit: Emitter, values: Sequence[ir.Value]) -> list[ir.Value]:
    """What the layers of HEADS read."""
    robust, non_robust = values
    rows = emit.op("Shape", robust, start=0, end=1)
    ones = emit.op("Expand", emit.constant(np.ones(1, np.float32)), emit.op("Concat", rows, emit.integers(1), axis=0))
    parts = ((robust,), (non_robust,), (robust, non_robust))
    return [emit.op("Concat", *part, ones, axis=1) for part in parts]


def losses(
    graph: ir.Graph, loss: RobustHeads, clean: Sequence[ir.Value], adversarial: Sequence[ir.Value], truth: Truth
) -> ir.Value:
    """The loss of each row, [B].

    Args:
        graph: takes the nodes, behind all that it has.
        loss: its weights.
        clean: scores [B, C] of robust, non-robust and joint head.
        adversarial: scores [B, C] of robust and non-robust head for the twins.
        truth: of the rows.
    """
    plain = [add_label_loss(graph, scores, truth.label).losses for scores in clean]
    of_twins = [
        add_label_loss(graph, scores, wanted).losses
        for scores, wanted in zip(adversarial, (truth.label, truth.target), strict=True)
    ]
    emit = Emitter(graph)
    total = emit.op("Add", emit.op("Add", plain[2], plain[0]), plain[1])
    for term, weight in zip(of_twins, (loss.adversarial_weight, loss.target_weight), strict=True):
        weighed = emit.op("Mul", emit.op("Mul", term, truth.partner), emit.constant(np.array(weight, np.float32)))
        total = emit.op("Add", total, weighed)
    emit.append()
    return total
