"""What a node reads, and which parameters are streamed, looked up, or kept."""

from __future__ import annotations

from collections.abc import Iterator

import onnx_ir as ir

from seedtune.exporter.targets import LORA_A
from seedtune.runtime.bundle.stage_plan import Role

# Smaller ones are kept in memory for good.
STREAMED_BYTES = 1 << 10
# What reads a whole matrix in the order of its bytes, and what stands between such a node and the matrix.
WHOLE_READERS = {"Gemm", "MatMul", "MatMulIntegerToFloat", "DequantizeLinear", "Reshape"}


def reads(node: ir.Node) -> Iterator[ir.Value]:
    """The values that ``node`` reads, those that its inner graphs take from outside included."""
    yield from (value for value in node.inputs if value is not None)
    for attribute in node.attributes.values():
        if attribute.type == ir.AttributeType.GRAPH:
            inner = attribute.as_graph()
            made = {id(value) for value in (*inner.inputs, *inner.initializers.values())}
            for inside in inner:
                yield from (value for value in reads(inside) if id(value) not in made)
                made.update(id(output) for output in inside.outputs)
            yield from (value for value in inner.outputs if id(value) not in made)


def is_parameter(value: ir.Value) -> bool:
    """Whether the values of ``value`` lie in the weights file."""
    return value.is_initializer() and (value.const_value is None or isinstance(value.const_value, ir.ExternalTensor))


def roles(graph: ir.Graph) -> dict[str, Role]:
    """The role of every parameter of ``graph``."""
    found: dict[str, Role] = {}
    for name, value in graph.initializers.items():
        if is_parameter(value):
            assert value.shape is not None
            # Norms, biases, scales of channels, and the A of a target, which all who use the state need anyway.
            if len(value.shape) < 2 or name.endswith(LORA_A) or size_bytes(value) < STREAMED_BYTES:
                found[name] = "resident"
            else:
                whole = all(use.node.op_type in WHOLE_READERS and use.node.graph is graph for use in value.uses())
                found[name] = "streamed" if whole else "mapped"
    return found


def size_bytes(value: ir.Value) -> int:
    """The bytes of a parameter."""
    assert value.shape is not None
    assert value.dtype is not None
    size: float = value.dtype.itemsize
    for dimension in value.shape:
        assert isinstance(dimension, int)
        size *= dimension
    return int(size)
