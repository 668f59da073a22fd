"""Every linear layer becomes ``Reshape -> Gemm(transB=1) -> Reshape`` on 2-D rows, its weight as the checkpoint has it.

Cases (W is an initializer without a value, so nothing folds or transposes it):
 1. ``MatMul(x, Transpose(W))``            W [o, i]: a torch Linear without bias, or whose bias is added after
 2. case 1 followed by ``Add(_, bias)``    bias [o] becomes the Gemm's C
 3. ``Gemm(x, W, bias?, transB=1)``        W [o, i]: a torch Linear on 2-D rows; only the record is made
 4. ``MatMul(x, W)``, ``Gemm(x, W, bias?)`` W [i, o]: a Conv1D (GPT-2); kept as it is, the record says so
ONNX Runtime maps such a weight straight from the file: a Transpose left before a MatMul would be folded into an
anonymous copy of every weight when the session is created.
"""

from __future__ import annotations

from dataclasses import dataclass

import onnx_ir as ir

from seedtune.exporter.passes.emitter import Emitter, static_shape


@dataclass(frozen=True)
class Linear:
    """A linear layer in the graph: ``rows`` [N, i] -> ``output`` [N, o]; ``weight`` names its initializer."""

    name: str
    weight: str
    rows: ir.Value
    output: ir.Value
    in_features: int
    out_features: int


def normalise_linears(graph: ir.Graph) -> list[Linear]:
    """Rewrites the linears of ``graph`` and returns them in graph order. Weights not seen as linears are left alone."""
    linears: list[Linear] = []
    flat: dict[ir.Value, ir.Value] = {}
    for node in list(graph):
        weight, transposed = _weight_of(node)
        if weight is None or weight.shape is None or len(weight.shape) != 2:
            continue
        first, second = static_shape(weight)
        out_features, in_features = (first, second) if transposed else (second, first)
        if node.op_type == "Gemm":
            rows, output = node.inputs[0], node.outputs[0]
            assert rows is not None
        else:
            rows, output = _rewrite(graph, node, weight, transposed, in_features, out_features, flat)
        assert weight.name is not None
        linears.append(Linear(module_name(weight.name), weight.name, rows, output, in_features, out_features))
    return linears


def module_name(weight_name: str) -> str:
    """``model.layers.0.mlp.up_proj.weight`` -> ``model.layers.0.mlp.up_proj``."""
    return weight_name.removesuffix(".weight")


def _weight_of(node: ir.Node) -> tuple[ir.Value | None, bool]:
    """The parameter that ``node`` multiplies with, and whether it is stored [o, i]."""
    if node.op_type not in ("MatMul", "Gemm") or node.domain != "":
        return None, False
    right = node.inputs[1]
    if right is None:
        return None, False
    if _is_parameter(right):
        if node.op_type == "MatMul":
            return right, False
        if _integer(node, "transA", 0) == 0 and _float(node, "alpha") == 1.0 and _float(node, "beta") == 1.0:
            return right, _integer(node, "transB", 0) == 1
        return None, False
    producer = right.producer()
    if node.op_type == "MatMul" and producer is not None and producer.op_type == "Transpose":
        source = producer.inputs[0]
        perm = producer.attributes.get("perm")
        if source is not None and _is_parameter(source) and (perm is None or list(perm.as_ints()) == [1, 0]):
            return source, True
    return None, False


def _is_parameter(value: ir.Value) -> bool:
    return value.is_initializer() and value.const_value is None


def _integer(node: ir.Node, name: str, default: int) -> int:
    attribute = node.attributes.get(name)
    return default if attribute is None else attribute.as_int()


def _float(node: ir.Node, name: str) -> float:
    attribute = node.attributes.get(name)
    return 1.0 if attribute is None else attribute.as_float()


def _rewrite(
    graph: ir.Graph,
    node: ir.Node,
    weight: ir.Value,
    transposed: bool,
    in_features: int,
    out_features: int,
    flat: dict[ir.Value, ir.Value],
) -> tuple[ir.Value, ir.Value]:
    """Replaces a MatMul (cases 1, 2, 4) and returns its 2-D input and output."""
    x = node.inputs[0]
    assert x is not None
    result, bias = node.outputs[0], None
    addition = _bias_addition(node, out_features)
    if addition is not None:
        add, bias = addition
        result = add.outputs[0]
    emit = Emitter(graph)
    if x not in flat:
        flat[x] = emit.op("Reshape", x, emit.integers(-1, in_features))
    inputs = [flat[x], weight] if bias is None else [flat[x], weight, bias]
    product = emit.op("Gemm", *inputs, transB=int(transposed))
    leading = emit.op("Shape", x, start=0, end=-1)
    shape = emit.op("Concat", leading, emit.integers(out_features), axis=0)
    restored = emit.op("Reshape", product, shape)
    restored.type, restored.shape = result.type, result.shape
    emit.insert_before(node)
    if result.is_graph_output():
        restored.name, result.name = result.name, None
    ir.convenience.replace_all_uses_with(result, restored, replace_graph_outputs=True)
    if addition is not None:
        graph.remove(addition[0], safe=True)
    transpose = node.inputs[1].producer() if node.inputs[1] is not None else None
    graph.remove(node, safe=True)
    if transpose is not None and not transpose.outputs[0].uses():
        graph.remove(transpose, safe=True)
    return flat[x], product


def _bias_addition(node: ir.Node, out_features: int) -> tuple[ir.Node, ir.Value] | None:
    """The ``Add`` of a [o] parameter that is the only consumer of ``node``, and that parameter (case 2)."""
    uses = list(node.outputs[0].uses())
    if len(uses) != 1 or uses[0].node.op_type != "Add" or node.outputs[0].is_graph_output():
        return None
    add = uses[0].node
    other = add.inputs[1 - uses[0].idx]
    if other is None or not _is_parameter(other) or other.shape is None:
        return None
    if len(other.shape) != 1 or other.shape[0] != out_features:
        return None
    return add, other
