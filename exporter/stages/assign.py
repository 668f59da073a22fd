"""Which stage each node of a finished graph belongs to.

Stage 0 holds what comes before the first matrix (embeddings, masks, noise). Then the matrices, in the order in which
they are read, are taken in groups: never over the border between two layers, so that layers make equal stages, and
within a layer where the least data crosses, as long as no group is larger than GROUP_BYTES or the largest matrix. A
node runs as early as the matrices it depends on allow, unless no more data crosses when it runs later.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Collection, Mapping, Sequence

import onnx_ir as ir

from seedtune.exporter.stages.border import Users, run_late, users_of
from seedtune.exporter.stages.both_ways import BACK
from seedtune.exporter.stages.reads import is_parameter, reads, size_bytes
from seedtune.runtime.bundle.stage_plan import Role

# Matrices of one stage; the buffers that they are read into hold two stages.
GROUP_BYTES = 16 << 20
# The first number in the name of a parameter is its layer.
LAYER = re.compile(r"\.(\d+)\.")


def assign(graph: ir.Graph, roles: Mapping[str, Role], sizes: Mapping[str, int]) -> dict[ir.Node, int]:
    """Node -> stage, stages in the order in which they run.

    Args:
        graph: finished, in topological order.
        roles: by `reads.roles`.
        sizes: value -> bytes, for some batch; what crosses a border is weighed by it.
    """
    nodes = list(graph)
    matrices = _matrices_in_order(nodes, roles)
    finest = {name: place + 1 for place, name in enumerate(matrices)}
    crossing = _crossing_bytes(nodes, _levels(nodes, roles, finest, sizes), len(matrices), sizes)
    groups = _groups(list(matrices.values()), crossing)
    stage_of = {name: number + 1 for number, group in enumerate(groups) for name in group}
    return _levels(nodes, roles, stage_of, sizes)


def _matrices_in_order(nodes: Sequence[ir.Node], roles: Mapping[str, Role]) -> dict[str, ir.Value]:
    found: dict[str, ir.Value] = {}
    for node in nodes:
        for value in reads(node):
            if is_parameter(value) and value.name is not None and roles[value.name] == "streamed":
                found.setdefault(value.name, value)
    return found


def _groups(matrices: Sequence[ir.Value], crossing: Sequence[int]) -> list[list[str]]:
    groups: list[list[str]] = []
    start = 0
    for _layer, members in itertools.groupby(matrices, key=_layer_of):
        layer = list(members)
        cuts = _cheapest_cuts([size_bytes(value) for value in layer], crossing[start : start + len(layer)])
        groups += [[value.name or "" for value in layer[i:j]] for i, j in itertools.pairwise(cuts)]
        start += len(layer)
    return groups


def _layer_of(matrix: ir.Value) -> tuple[bool, str]:
    """Which layer, and whether on the way back (`both_ways.py`): a stage has matrices of one way only."""
    name = matrix.name or ""
    found = LAYER.search(name)
    return name.startswith(BACK), found.group(1) if found else name


def _cheapest_cuts(sizes: Sequence[int], crossing: Sequence[int]) -> list[int]:
    """Where to cut a layer, both its ends included, so that the least crosses and no group is too large."""
    limit = max(GROUP_BYTES, *sizes)
    best: list[tuple[int, int, list[int]]] = [(0, 0, [0])]
    for end in range(1, len(sizes) + 1):
        best.append(
            min(
                (best[i][0] + (crossing[i] if i else 0), best[i][1] + 1, [*best[i][2], end])
                for i in range(end)
                if sum(sizes[i:end]) <= limit
            )
        )
    return best[-1][2]


def _crossing_bytes(
    nodes: Sequence[ir.Node], levels: Mapping[ir.Node, int], matrices: int, sizes: Mapping[str, int]
) -> list[int]:
    """Place of a matrix -> bytes per row that cross a border right before it."""
    crossing = [0] * matrices
    for node in nodes:
        for output in node.outputs:
            last = max((levels[use.node] for use in output.uses() if use.node in levels), default=0)
            for level in range(levels[node] + 1, last + 1):
                crossing[level - 1] += sizes[output.name or ""]
    return crossing


def _levels(
    nodes: Sequence[ir.Node], roles: Mapping[str, Role], stage_of: Mapping[str, int], sizes: Mapping[str, int]
) -> dict[ir.Node, int]:
    levels: dict[ir.Node, int] = {}
    # What depends on a weight.
    anchored: set[ir.Node] = set()
    for node in nodes:
        level = 0
        for value in reads(node):
            producer = value.producer()
            if producer in levels:
                level = max(level, levels[producer])
                if producer in anchored:
                    anchored.add(node)
            elif is_parameter(value) and value.name is not None:
                level = max(level, stage_of.get(value.name, 0))
                if roles[value.name] != "resident":
                    anchored.add(node)
        levels[node] = level
    users = users_of(nodes)
    _slice_late(nodes, levels, users, anchored)
    with_matrix = {user for value, readers in users.items() if value.name in stage_of for user in readers}
    run_late(levels, users, sizes, anchored - with_matrix)
    return levels


def _slice_late(
    nodes: Sequence[ir.Node], levels: dict[ir.Node, int], users: Users, anchored: Collection[ir.Node]
) -> None:
    """Slices of the state and of the noise go to the one stage that reads them; what several read is made once."""
    for node in reversed(nodes):
        reading = {levels[user] for output in node.outputs for user in users.get(output, ())}
        if node not in anchored and len(reading) == 1 and not any(output.is_graph_output() for output in node.outputs):
            levels[node] = reading.pop()
