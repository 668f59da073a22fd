"""A matrix that a gradient reads on the way there and on the way back is two to its stages, read when needed.

Under one name the whole way back would belong to the last stage, which would read all matrices at once. So what does
not lead to the loss reads a matrix under another name until the stages are cut.
"""

from __future__ import annotations

from collections.abc import Mapping

import onnx_ir as ir

from seedtune.exporter.stages.reads import reads
from seedtune.runtime.bundle.stage_plan import Role

LOSS, GRADIENT = "loss", "gradient"
BACK = "back of "


def part_ways(graph: ir.Graph, roles: Mapping[str, Role]) -> dict[str, str]:
    """Gives the way back of ``graph`` names of its own for streamed matrices; such a name -> the parameter's.

    Args:
        graph: changed in place. One without an output "gradient" has no way back.
        roles: of its parameters.
    """
    outputs = {value.name: value for value in graph.outputs}
    if GRADIENT not in outputs:
        return {}
    leading = _leading_to(outputs[LOSS])
    names: dict[str, str] = {}
    for name, value in list(graph.initializers.items()):
        back = [use for use in value.uses() if use.node not in leading]
        if roles.get(name) != "streamed" or not back or len(back) == len(value.uses()):
            continue
        other = ir.Value(name=BACK + name, type=value.type, shape=value.shape)
        graph.initializers[BACK + name] = other
        for use in back:
            use.node.replace_input_with(use.idx, other)
        names[BACK + name] = name
    return names


def _leading_to(value: ir.Value) -> set[ir.Node]:
    """The nodes that ``value`` is made of."""
    found: set[ir.Node] = set()
    waiting = [value]
    while waiting:
        node = waiting.pop().producer()
        if node is not None and node not in found:
            found.add(node)
            waiting.extend(reads(node))
    return found
