"""Moves nodes over the border between two stages, so that the least data has to wait there.

What may move from a stage into the next one are the nodes that only later stages read. Which of them do is a minimum
cut: between what stays (source) and what is later (sink), with the bytes of each value as the capacity of its edge.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping

import networkx
import onnx_ir as ir
from networkx.algorithms.flow import edmonds_karp

from seedtune.exporter.stages.reads import reads

Users = Mapping[ir.Value, list[ir.Node]]
SOURCE, SINK = "source", "sink"


def users_of(nodes: Iterable[ir.Node]) -> dict[ir.Value, list[ir.Node]]:
    """Value -> the nodes that read it, also from inside their inner graphs."""
    users: dict[ir.Value, list[ir.Node]] = {}
    for node in nodes:
        for value in dict.fromkeys(reads(node)):
            users.setdefault(value, []).append(node)
    return users


def run_late(levels: dict[ir.Node, int], users: Users, sizes: Mapping[str, int], movable: Collection[ir.Node]) -> None:
    """Changes ``levels`` (node -> stage, in topological order) so that less crosses the borders.

    Args:
        levels: changed in place.
        users: of every value.
        sizes: value -> bytes, for some batch.
        movable: the nodes that may be moved.
    """
    for level in range(max(levels.values())):
        candidates = _only_read_later(levels, users, level, movable)
        if candidates:
            for node in _after_cut(candidates, levels, users, sizes, level):
                levels[node] = level + 1


def _only_read_later(
    levels: Mapping[ir.Node, int], users: Users, level: int, movable: Collection[ir.Node]
) -> dict[ir.Node, None]:
    found: dict[ir.Node, None] = {}
    for node in reversed([node for node, of_node in levels.items() if of_node == level and node in movable]):
        readers = [user for output in node.outputs for user in users.get(output, ())]
        kept = any(output.is_graph_output() for output in node.outputs)
        if readers and not kept and all(levels[user] > level or user in found for user in readers):
            found[node] = None
    return found


def _after_cut(
    candidates: Collection[ir.Node],
    levels: Mapping[ir.Node, int],
    users: Users,
    sizes: Mapping[str, int],
    level: int,
) -> list[ir.Node]:
    graph = networkx.DiGraph()
    graph.add_nodes_from((SOURCE, SINK))
    # In a fixed order: of two cuts that cost the same, the same one is found each time.
    values = dict.fromkeys(value for node in candidates for value in (*reads(node), *node.outputs))
    for value in values:
        producer = value.producer()
        if producer not in levels:
            continue
        start = producer if producer in candidates else SOURCE
        size = sizes[value.name or ""]
        graph.add_edge(start, value, capacity=size)
        for user in users.get(value, ()):
            if user in candidates:
                graph.add_edge(value, user)
                # What stays cannot read what is made later.
                graph.add_edge(user, start)
            elif levels[user] > level:
                graph.add_edge(value, SINK)
    # Few paths carry anything, and what can still reach the sink is the same by every algorithm.
    _bytes, (staying, _later) = networkx.minimum_cut(graph, SOURCE, SINK, flow_func=edmonds_karp)
    return [node for node in candidates if node not in staying]
