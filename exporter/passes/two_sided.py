"""Both sides of a perturbation in one pass: every input row runs twice, first half plus, second half minus.

After this pass everything behind the inputs has 2*B rows; one read of each weight serves both sides.
"""

from __future__ import annotations

import onnx_ir as ir

from seedtune.exporter.passes.emitter import Emitter


def double_rows(graph: ir.Graph, names: tuple[str, ...] = ("ids", "mask", "position")) -> None:
    """Puts ``Concat(x, x)`` along the first axis between each named input and all who read it."""
    emit = Emitter(graph)
    for value in graph.inputs:
        if value.name in names:
            readers = list(value.uses())
            doubled = emit.op("Concat", value, value, axis=0)
            for reader in readers:
                reader.node.replace_input_with(reader.idx, doubled)
    emit.prepend()
