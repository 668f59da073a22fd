"""The encoder as an ONNX graph, for nodes that come later: features [N, F] and edges [E, 2] in, embeddings [N, d] out.

It normalises rows and adjacency itself, so it takes what an .npz has: each edge once, no loops.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx_ir as ir

from seedtune.exporter.passes.emitter import OPSET, Emitter, add_input, set_outputs
from seedtune.exporter.passes.finish import finish
from seedtune.exporter.recipes.graph.encoder import Encoder

FLOAT, INT64 = ir.DataType.FLOAT, ir.DataType.INT64
TINY = 1e-12


def write_encoder(path: Path, encoder: Encoder) -> None:
    """Writes ``encoder`` to ``path``: inputs ``features`` and ``edges``, output ``embeddings``, rows of length 1."""
    ir.save(finish(encoder_graph(encoder)), path)


def encoder_graph(encoder: Encoder) -> ir.Model:
    """See the module docstring."""
    values = {name: value.detach().numpy() for name, value in encoder.named_parameters()}
    graph = ir.Graph([], [], nodes=[], opset_imports={"": OPSET}, name="encoder")
    features = add_input(graph, "features", FLOAT, ["nodes", values["first"].shape[0]])
    edges = add_input(graph, "edges", INT64, ["edges", 2])
    emit = Emitter(graph)
    passing = _Passing(emit, features, edges)
    size = emit.op("ReduceSum", emit.op("Abs", features), emit.integers(1), keepdims=1)
    found = emit.op("Div", features, emit.op("Max", size, emit.constant(np.array(TINY, np.float32))))
    for name in ("first", "second"):
        found = passing(emit.op("MatMul", found, emit.constant(values[name])))
        found = emit.op("Add", found, emit.constant(values[f"{name}_bias"]))
        found = emit.op("Relu", found)
    length = emit.op("ReduceL2", found, emit.integers(1), keepdims=1)
    found = emit.op("Div", found, emit.op("Max", length, emit.constant(np.array(TINY, np.float32))))
    emit.append()
    set_outputs(graph, {"embeddings": (found, FLOAT, ["nodes", values["second"].shape[1]])})
    return ir.Model(graph, ir_version=10)


class _Passing:
    """``S x`` of rows x [N, w]: what each node gets of its neighbours and itself, d^-1/2 on either side.

    By ScatterElements: ScatterND of ONNX Runtime 1.26 adds in several threads, and loses some of what goes to one node.
    """

    def __init__(self, emit: Emitter, features: ir.Value, edges: ir.Value) -> None:
        self._emit = emit
        one, other = (emit.op("Gather", edges, emit.constant(np.array(end, np.int64)), axis=1) for end in (0, 1))
        self._sources = emit.op("Concat", one, other, axis=0)
        targets = emit.op("Concat", other, one, axis=0)
        nodes = emit.op("Shape", features, start=0, end=1)
        ones = emit.op("Expand", emit.constant(np.array(1, np.float32)), nodes)
        each = emit.op("Expand", emit.constant(np.array(1, np.float32)), emit.op("Shape", self._sources))
        degree = emit.op("ScatterElements", ones, targets, each, axis=0, reduction="add")
        self._targets = emit.op("Unsqueeze", targets, emit.integers(1))
        root = emit.op("Reciprocal", emit.op("Sqrt", degree))
        self._root = emit.op("Unsqueeze", root, emit.integers(1))

    def __call__(self, rows: ir.Value) -> ir.Value:
        emit = self._emit
        scaled = emit.op("Mul", rows, self._root)
        sent = emit.op("Gather", scaled, self._sources, axis=0)
        places = emit.op("Expand", self._targets, emit.op("Shape", sent))
        found = emit.op("ScatterElements", scaled, places, sent, axis=0, reduction="add")
        return emit.op("Mul", found, self._root)
