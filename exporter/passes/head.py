"""The language-model head in a graph: the last linear layer, and what stands between it and the logits."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import onnx_ir as ir

from seedtune.exporter.passes.linear_layout import Linear
from seedtune.runtime.errors import SeedTuneError

ELEMENTWISE = {
    "Add",
    "Sub",
    "Mul",
    "Div",
    "Tanh",
    "Neg",
    "Cast",
    "Identity",
    "Reshape",
    "Gather",
    "Slice",
    "Squeeze",
    "Clip",
}


@dataclass(frozen=True)
class Head:
    """``logits`` is made by ``gemm`` and the nodes of ``chain``, which are in the order from the logits back to it."""

    logits: ir.Value
    linear: Linear
    gemm: ir.Node
    chain: tuple[ir.Node, ...]

    @property
    def vocabulary_axis(self) -> int:
        """The axis of the weight along which the vocabulary runs."""
        transposed = self.gemm.attributes.get("transB")
        return 0 if transposed is not None and transposed.as_int() == 1 else 1


def find_head(graph: ir.Graph, linears: Sequence[Linear]) -> Head:
    """The head of a graph with the output ``logits``.

    Args:
        graph: its linears are in 2-D row layout.
        linears: what `normalise_linears` returned for this graph.

    Raises:
        SeedTuneError: the logits do not come from one linear layer through elementwise operators.
    """
    logits = next(value for value in graph.outputs if value.name == "logits")
    produced = {linear.output: linear for linear in linears}
    chain: list[ir.Node] = []
    value: ir.Value | None = logits
    while value is not None and value not in produced:
        node = value.producer()
        if node is None or node.op_type not in ELEMENTWISE:
            raise SeedTuneError(
                "the language-model head is not a linear layer over the vocabulary",
                value="graph input" if node is None else f"{node.op_type} node {node.name!r}",
                rule=f"between the last linear layer and the logits only {', '.join(sorted(ELEMENTWISE))} may stand",
                remedy="this architecture needs a head pass of its own",
            )
        chain.append(node)
        value = node.inputs[0]
    assert value is not None
    gemm = produced[value].output.producer()
    assert gemm is not None
    return Head(logits, produced[value], gemm, tuple(chain))
