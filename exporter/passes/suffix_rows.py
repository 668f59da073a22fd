"""The inputs of a suffix graph in the terms of a caller: tokens, lengths and places instead of attention masks.

The two sides of a perturbation run as twice as many tokens of the same row, not as twice as many rows: side by side,
invisible to each other, and both looking at one context. So keys and values of a context exist once for both.

Before  ids or entering, positions, position [B, K], context_mask [B, P], self_mask [B, S, S] as `suffix_trunk` has them
After   ids or entering, and mask, positions [B, S] int64 (mask 1 = token, 0 = padding on the right), position [B] int64
        (the scored token among the S), context_length [B] int64 (how many of the P are not padding)
"""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from seedtune.exporter.passes.emitter import Emitter, add_input

# Far below any score, far above what would overflow when a score is added.
HIDDEN = -1e30


def present_suffix(
    graph: ir.Graph, family: str, sides: int, *, with_context: bool = True, every_token: bool = False
) -> None:
    """Rewrites the inputs of a clone of the suffix trunk; outputs then have K = ``sides`` scored tokens a row.

    Args:
        graph: changed in place.
        family: "causal" (a token sees those before it) or "masked" (a token sees all).
        sides: how often every token runs, 1 or 2.
        with_context: False leaves ``context_mask`` as it is, for a graph that has no context.
        every_token: score every token (K = ``sides`` * S) and have no input ``position``.
    """
    values = {value.name: value for value in graph.inputs}
    emit = Emitter(graph)
    mask = add_input(graph, "mask", ir.DataType.INT64, ["batch", "tokens"])
    tokens = emit.op("Shape", mask, start=1, end=2)

    of_tokens = values["entering" if "entering" in values else "ids"]
    _replace(of_tokens, _side_by_side(emit, of_tokens, sides))
    _replace(values["positions"], _side_by_side(emit, values["positions"], sides))
    _replace(values["self_mask"], _self_mask(emit, _side_by_side(emit, mask, sides), tokens, family, sides))
    _drop(graph, values["self_mask"])
    position = values["position"]
    _drop(graph, position)
    if every_token:
        every = _range(emit, emit.op("Mul", tokens, emit.integers(sides)))
        size = emit.op("Concat", emit.op("Shape", mask, start=0, end=1), emit.op("Shape", every), axis=0)
        _replace(position, emit.op("Expand", every, size))
    else:
        scored = add_input(graph, "position_of_row", ir.DataType.INT64, ["batch"])
        starts = emit.op("Mul", tokens, emit.constant(np.arange(sides, dtype=np.int64)))
        _replace(position, emit.op("Add", emit.op("Unsqueeze", scored, emit.integers(1)), starts))
        position.name, scored.name = None, "position"
    if with_context:
        length = add_input(graph, "context_length", ir.DataType.INT64, ["batch"])
        size = emit.op("Shape", values["keys"], start=3, end=4)
        place = _range(emit, size)
        inside = emit.op("Less", place, emit.op("Unsqueeze", length, emit.integers(1)))
        _replace(values["context_mask"], _additive(emit, inside))
        _drop(graph, values["context_mask"])
    emit.prepend()


def _side_by_side(emit: Emitter, value: ir.Value, sides: int) -> ir.Value:
    return value if sides == 1 else emit.op("Concat", *[value] * sides, axis=1)


def _self_mask(emit: Emitter, mask: ir.Value, tokens: ir.Value, family: str, sides: int) -> ir.Value:
    """What each of the ``sides`` * S tokens may see of the others, additive, [B, sides * S, sides * S] float32."""
    allowed = emit.op("Unsqueeze", emit.op("Cast", mask, to=ir.DataType.BOOL), emit.integers(1))
    place = _range(emit, emit.op("Mul", tokens, emit.integers(sides)))
    row, column = (emit.op("Unsqueeze", place, emit.integers(axis)) for axis in (1, 0))
    if family == "causal":
        allowed = emit.op("And", allowed, emit.op("LessOrEqual", column, row))
    if sides > 1:
        same = emit.op("Equal", emit.op("Div", row, tokens), emit.op("Div", column, tokens))
        allowed = emit.op("And", allowed, same)
    whole = emit.op("Concat", emit.op("Shape", mask), emit.op("Shape", mask, start=1, end=2), axis=0)
    return emit.op("Expand", _additive(emit, allowed), whole)


def _range(emit: Emitter, size: ir.Value) -> ir.Value:
    """0 .. size - 1, int64."""
    zero, one = (emit.constant(np.array(number, np.int64)) for number in (0, 1))
    return emit.op("Range", zero, emit.op("Squeeze", size, emit.integers(0)), one)


def _additive(emit: Emitter, allowed: ir.Value) -> ir.Value:
    seen, hidden = (emit.constant(np.array(number, np.float32)) for number in (0.0, HIDDEN))
    return emit.op("Where", allowed, seen, hidden)


def _replace(value: ir.Value, replacement: ir.Value) -> None:
    """Lets all who read ``value`` read ``replacement``, except the nodes that it is made of (not in the graph yet)."""
    if value is replacement:
        return
    for use in list(value.uses()):
        if use.node.graph is not None:
            use.node.replace_input_with(use.idx, replacement)


def _drop(graph: ir.Graph, value: ir.Value) -> None:
    graph.inputs.remove(value)
