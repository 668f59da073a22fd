"""Chooses how each matrix is stored, the same in all graphs of a bundle, and rewrites what reads it."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

import onnx_ir as ir
from onnx_ir._core import Usage

from seedtune.exporter.passes.emitter import static_shape
from seedtune.exporter.passes.half_storage import read_half
from seedtune.exporter.passes.int4_storage import read_int4
from seedtune.exporter.passes.int8_storage import read_int8
from seedtune.exporter.storage.encodings import INT4_BLOCK, TYPES, Encoding
from seedtune.runtime.bundle.manifest import Storage


@dataclass(frozen=True)
class Reader:
    """A graph that reads matrices.

    Attributes:
        graph: the graph.
        pairs: how the rows of both sides of a perturbation can be told apart (`int8_storage.read_int8`); None for one
            side.
        few_rows: whether its calls are short (`int8_storage`).
        decides: whether how it reads a matrix bears on how that is stored; backward products have no say.
    """

    graph: ir.Graph
    pairs: ir.Value | None = None
    few_rows: bool = False
    decides: bool = True


def store(
    readers: Sequence[Reader],
    storage: Storage,
    keep: Collection[str] = (),
    at_least_half: Collection[str] = (),
) -> dict[str, Encoding]:
    """Encodes the matrices of graphs: 2-D float32 parameters that only Gemm, MatMul or Gather read.

    Tables that are looked up (embeddings) are stored as int8 for int4 too. A matrix that cannot be stored in the kind
    asked for (both looked up and multiplied with, or of an odd width for int4) takes the next wider one.

    Args:
        readers: the graphs, changed in place; a parameter of one name is the same in all of them.
        storage: how to store.
        keep: names of parameters that stay float32.
        at_least_half: names of parameters whose layers multiply other rows than those of all tokens, which
            `pairs` says nothing about.

    Returns:
        Parameter -> its encoding.
    """
    if storage == "fp32":
        return {}
    uses: dict[str, list[Usage]] = {}
    shapes: dict[str, tuple[int, int]] = {}
    for reader in readers:
        for name, value in reader.graph.initializers.items() if reader.decides else ():
            if _is_matrix(value) and name not in keep:
                uses.setdefault(name, []).extend(value.uses())
                first, second = static_shape(value)
                shapes[name] = first, second
    encodings = {}
    for name, of_name in uses.items():
        chosen = _choose(storage, of_name, shapes[name], name in at_least_half)
        if chosen is not None:
            encodings[name] = chosen
    for reader in readers:
        for name, value in list(reader.graph.initializers.items()):
            if name in encodings and _is_matrix(value):
                _read(reader, value, encodings[name])
    return encodings


def _read(reader: Reader, value: ir.Value, encoding: Encoding) -> None:
    if encoding.kind == "int8":
        read_int8(reader.graph, value, encoding, reader.pairs, reader.few_rows)
    elif encoding.kind == "int4":
        read_int4(reader.graph, value, encoding)
    else:
        read_half(reader.graph, value, TYPES[encoding.kind])


def _is_matrix(value: ir.Value) -> bool:
    waits_for_values = value.const_value is None and value.dtype == ir.DataType.FLOAT
    return waits_for_values and value.shape is not None and len(value.shape) == 2


def _choose(storage: Storage, uses: list[Usage], shape: tuple[int, int], at_least_half: bool) -> Encoding | None:
    looked_up = [use.node for use in uses if use.node.op_type == "Gather" and use.idx == 0]
    multiplied = [use.node for use in uses if use.node.op_type in ("Gemm", "MatMul") and use.idx == 1]
    if not uses or len(looked_up) + len(multiplied) < len(uses):
        return None
    if storage in ("fp16", "bf16"):
        return Encoding("bf16" if storage == "bf16" else "fp16")
    if not multiplied and not any(_integer(node, "axis") for node in looked_up):
        return Encoding("int8")
    layouts = {_integer(node, "transB") for node in multiplied}
    if looked_up or at_least_half or len(layouts) > 1 or any(node.op_type == "MatMul" for node in multiplied):
        return Encoding("fp16")
    transposed = layouts == {1}
    if storage == "int4" and transposed and shape[1] % INT4_BLOCK == 0:
        return Encoding("int4")
    return Encoding("int8", 0 if transposed else 1, transposed)


def _integer(node: ir.Node, name: str) -> int:
    attribute = node.attributes.get(name)
    return 0 if attribute is None else attribute.as_int()
