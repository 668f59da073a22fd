"""The context graph: keys and values of whole rows by the untouched model, as they are stored.

Inputs   ids, mask [B, P] int64
Outputs  keys, values [layers, B, key heads, P, head size] as stored, of the layers with state; for int8 also
         key_scales, value_scales [layers, B, key heads, P, 1] float16; and where lower layers carry no state,
         entering [B, P, H] float32, the hidden states that enter the first one that does
"""

from __future__ import annotations

import numpy as np
import onnx_ir as ir
from onnx_ir.passes import common

from seedtune.exporter.passes.context_storage import TYPES, store
from seedtune.exporter.passes.emitter import Emitter, set_outputs
from seedtune.exporter.passes.linear_layout import normalise_linears
from seedtune.exporter.passes.suffix_rows import present_suffix
from seedtune.exporter.trace.traced import Traced
from seedtune.runtime.bundle.objective import ContextLayout


def build_context(traced: Traced) -> ir.Model:
    """The context graph over a clone of the suffix trunk, which is given no context of its own."""
    layout = traced.context
    assert layout is not None
    assert traced.whole is not None
    model = traced.whole.clone()
    graph = model.graph
    normalise_linears(graph)
    present_suffix(graph, traced.family, 1, with_context=False)
    _without_context(graph, layout)
    outputs: dict[str, tuple[ir.Value, ir.DataType, list[int | str]]] = {}
    emit = Emitter(graph)
    for name in ("keys", "values"):
        new = next(value for value in graph.outputs if value.name == f"new_{name}")
        kept, scales = _stored_by_layer(emit, new, layout.storage)
        shape: list[int | str] = [layout.layers, "batch", layout.key_heads, "tokens", layout.head_size]
        outputs[name] = (kept, TYPES[layout.storage], shape)
        if scales is not None:
            outputs[name.removesuffix("s") + "_scales"] = (scales, ir.DataType.FLOAT16, [*shape[:-1], 1])
    for value in graph.outputs:
        if value.name == "entering":
            # The first layer with state reads it too, and what a stage reads is no output of the graph. (A pass would
            # take an Identity away again; without a name it would count as an output that nobody reads.)
            value.name = "entering_first_layer"
            copy = emit.op("Cast", value, to=ir.DataType.FLOAT)
            outputs["entering"] = (copy, ir.DataType.FLOAT, ["batch", "tokens", layout.entering])
    emit.append()
    set_outputs(graph, outputs)
    # What follows the last layer's keys is not read by anyone; nor is the place of a label.
    common.RemoveUnusedNodesPass()(model)
    graph.name = "context"
    return model


def _stored_by_layer(emit: Emitter, new: ir.Value, storage: str) -> tuple[ir.Value, ir.Value | None]:
    """`store` on each layer before they are put together: float32 values of all layers at once would cost memory."""
    stack = new.producer()
    assert stack is not None
    # A model of one layer has nothing to put together.
    parts = stack.inputs if stack.op_type == "Concat" else [new]
    layers = [store(emit, value, storage) for value in parts if value is not None]
    kept = emit.op("Concat", *(codes for codes, _ in layers), axis=0)
    scales = [scale for _, scale in layers if scale is not None]
    return kept, emit.op("Concat", *scales, axis=0) if scales else None


def _without_context(graph: ir.Graph, layout: ContextLayout) -> None:
    """Puts empty tensors in place of the context inputs, and positions from 0 in place of given ones."""
    values = {value.name: value for value in graph.inputs}
    emit = Emitter(graph)
    rows = emit.op("Shape", values["ids"], start=0, end=1)
    empty = emit.constant(np.zeros((1,), np.float32))
    nothing = emit.op("Concat", rows, emit.integers(0), axis=0)
    replacements = {"context_mask": emit.op("Expand", empty, nothing)}
    for name in ("keys", "values"):
        sizes = emit.integers(layout.key_heads, 0, layout.head_size)
        nothing = emit.op("Concat", emit.integers(layout.layers), rows, sizes, axis=0)
        replacements[name] = emit.op("Expand", empty, nothing)
    tokens = emit.op("Squeeze", emit.op("Shape", values["ids"], start=1, end=2), emit.integers(0))
    zero, one = (emit.constant(np.array(number, np.int64)) for number in (0, 1))
    places = emit.op("Range", zero, tokens, one)
    replacements["positions"] = emit.op("Expand", places, emit.op("Shape", values["ids"]))
    for name, replacement in replacements.items():
        for use in list(values[name].uses()):
            use.node.replace_input_with(use.idx, replacement)
        graph.inputs.remove(values[name])
    graph.inputs.remove(values["position"])
    emit.prepend()
