"""Which stages may run once for the rows of all calls in flight, laid one behind the other.

A call lays each matrix out anew, so the fewer calls a stage runs in, the better. How many rows a call may have is up to
its contexts; a stage that reads none can take all rows at once. Its inputs are then those of all calls along their
first axis, so along that axis there have to be the rows, each whole before the next; what follows from the sizes alone
(a shape to bring something into, say) is made once more, for all rows.

Only products of integers: those of floats may come out another in their last bits with other rows beside them, and a
run is to take the same steps within any memory limit.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

import onnx_ir as ir

from seedtune.exporter.stages.border import users_of
from seedtune.exporter.stages.reads import reads
from seedtune.exporter.stages.types import Inferred
from seedtune.runtime.bundle.stage_plan import Role

# What axes of the inputs of a graph are called: one place for each example, and for each token of a context.
ROWS, CONTEXT = "batch", "context"
INTEGER_PRODUCT = "MatMulIntegerToFloat"
# What changes a shape and leaves the values in their order.
RESHAPING = {"Reshape", "Unsqueeze", "Squeeze", "Flatten"}
# Sizes of axes and the types of all values that nodes make, for several such sizes.
Sampled = Sequence[tuple[Mapping[str, int], Mapping[str, Inferred]]]


def sizes_first(graph: ir.Graph, stages: dict[ir.Node, int], alone: Collection[str], sampled: Sampled) -> None:
    """Moves shapes that another stage reads, too, to stage 0 where they follow from what that stage has.

    Args:
        graph: finished, in topological order.
        stages: node -> stage; changed in place.
        alone: values that follow from sizes alone (`sizes_alone`).
        sampled: types of values.
    """
    users = users_of(stages)
    for node in graph:
        crosses = any(stages[user] != stages[node] for output in node.outputs for user in users.get(output, ()))
        early = all(stages.get(value.producer(), 0) == 0 for value in reads(node))  # type: ignore[arg-type]
        if crosses and early and all(_is_shape(output, alone, sampled) for output in node.outputs):
            stages[node] = 0


def together(
    graph: ir.Graph,
    stages: Mapping[ir.Node, int],
    roles: Mapping[str, Role],
    layered: Collection[str],
    alone: Collection[str],
    sampled: Sampled,
) -> dict[int, frozenset[str]]:
    """Stage -> the values that it may make for all rows at once: all that leave it, of stage 0 those of sizes alone.

    Args:
        graph: finished.
        stages: node -> stage.
        roles: of the parameters.
        layered: the inputs that are a layer of contexts.
        alone: values that follow from sizes alone (`sizes_alone`).
        sampled: types of values.
    """
    by_rows = _by_rows(graph, sampled)
    crossing = _crossing(graph, stages)
    with_layers = {stages[node] for node in stages if any(value.name in layered for value in reads(node))}
    of_floats = {
        stages[node]
        for node in stages
        if node.op_type != INTEGER_PRODUCT and any(roles.get(value.name or "") == "streamed" for value in reads(node))
    }
    chosen = set(stages.values()) - with_layers - of_floats - {0}
    before: set[int] = set()
    while chosen != before:
        before = set(chosen)
        for value, (source, readers) in crossing.items():
            name = value.name or ""
            if name in by_rows or (source in (None, 0) and name in alone):
                continue
            if source not in chosen:
                chosen -= readers
            elif value.is_graph_output() or readers - chosen:
                chosen.discard(source)
    found: dict[int, set[str]] = {}
    for value, (source, readers) in crossing.items():
        if source in chosen or (source == 0 and value.name in alone and readers & chosen):
            found.setdefault(source or 0, set()).add(value.name or "")
    return {stage: frozenset(names) for stage, names in found.items()}


def _crossing(graph: ir.Graph, stages: Mapping[ir.Node, int]) -> dict[ir.Value, tuple[int | None, set[int]]]:
    """Value -> the stage that makes it (None: an input of the graph) and the others that read it, if it leaves one."""
    users = users_of(stages)
    crossing: dict[ir.Value, tuple[int | None, set[int]]] = {}
    for value in graph.inputs:
        crossing[value] = None, {stages[user] for user in users.get(value, ())}
    for node, stage in stages.items():
        for output in node.outputs:
            readers = {stages[user] for user in users.get(output, ())} - {stage}
            if readers or output.is_graph_output():
                crossing[output] = stage, readers
    return crossing


def _by_rows(graph: ir.Graph, sampled: Sampled) -> set[str]:
    """The values whose first axis goes through the rows, one after the other, each with as many places."""
    found = {value.name or "" for value in graph.inputs if value.shape and str(value.shape[0]) == ROWS}
    for node in graph:
        source = node.inputs[0].name if node.op_type in RESHAPING and node.inputs[0] else None
        for output in node.outputs:
            shapes = [(sizes[ROWS], types[output.name or ""].shape[:1]) for sizes, types in sampled]
            if all(shape == (rows,) for rows, shape in shapes) or (
                source in found and all(shape and shape[0] > 0 and not shape[0] % rows for rows, shape in shapes)
            ):
                found.add(output.name or "")
    return found


def sizes_alone(graph: ir.Graph, layered: Collection[str], sampled: Sampled) -> set[str]:
    """The values that follow from what all rows share, and from the sizes of batch and tokens.

    Args:
        graph: finished, in topological order.
        layered: the inputs that are a layer of contexts.
        sampled: types of values.
    """
    found = {value.name or "" for value in graph.inputs if all(str(size) != ROWS for size in value.shape or ())}
    found -= set(layered)
    for node in graph:
        needed = [value for value in reads(node) if value.name not in found and not value.is_initializer()]
        if node.op_type == "Shape" and not node.domain:
            needed = [value for value in needed if _grows_with_context(value, node, sampled)]
        if not needed:
            found.update(output.name or "" for output in node.outputs)
    return found


def _grows_with_context(value: ir.Value, shape: ir.Node, sampled: Sampled) -> bool:
    """Whether an axis of ``value`` that ``shape``, a Shape node, tells of is one of contexts."""
    start, end = (shape.attributes[key].as_int() if key in shape.attributes else None for key in ("start", "end"))
    if value.producer() is None:
        return any(str(size) == CONTEXT for size in list(value.shape or ())[start:end])
    shapes: dict[tuple[int, int], set[tuple[int, ...]]] = {}
    for sizes, types in sampled:
        told = types[value.name or ""].shape[start:end]
        shapes.setdefault((sizes[ROWS], sizes["tokens"]), set()).add(told)
    return any(len(each) > 1 for each in shapes.values())


def _is_shape(value: ir.Value, alone: Collection[str], sampled: Sampled) -> bool:
    kind = sampled[0][1][value.name or ""]
    return value.name in alone and kind.dtype == ir.DataType.INT64 and len(kind.shape) <= 1
