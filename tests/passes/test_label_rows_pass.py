"""The head cut down to the label words."""

import numpy as np
import onnx_ir as ir
import pytest
from graph_lab import FLOAT, input_names, make_graph, make_value, op_types, run

from seedtune.exporter.passes.emitter import Emitter, set_outputs
from seedtune.exporter.passes.label_rows import keep_label_rows
from seedtune.exporter.passes.linear_layout import normalise_linears
from seedtune.runtime.errors import SeedTuneError

HIDDEN, VOCABULARY = 6, 50
WORDS = (41, 3, 17)
GENERATOR = np.random.default_rng(8)
TENSORS = {
    "head.weight": GENERATOR.standard_normal((VOCABULARY, HIDDEN)).astype(np.float32),
    "conv.weight": GENERATOR.standard_normal((HIDDEN, VOCABULARY)).astype(np.float32),
    "head.bias": GENERATOR.standard_normal(VOCABULARY).astype(np.float32),
}
FEEDS = {"h": GENERATOR.standard_normal((4, 1, HIDDEN)).astype(np.float32)}


def head(kind: str, tail: str) -> ir.Model:
    """h [B, 1, H] -> logits [B, V], as traces have it: linear, then ``tail``, then the only position."""
    h = make_value("h", FLOAT, ["batch", 1, HIDDEN])
    parameters = {name: make_value(name, FLOAT, tensor.shape) for name, tensor in TENSORS.items()}
    model = make_graph([h], [], [], list(parameters.values()))
    emit = Emitter(model.graph)
    if kind == "conv":
        y = emit.op("MatMul", h, parameters["conv.weight"])
    else:
        y = emit.op("MatMul", h, emit.op("Transpose", parameters["head.weight"], perm=[1, 0]))
    if kind == "bias":
        y = emit.op("Add", y, parameters["head.bias"])
    if tail == "scaled":
        y = emit.op("Mul", y, emit.constant(np.array(0.125, np.float32)))
    elif tail == "capped":
        cap = emit.constant(np.array(3.0, np.float32))
        y = emit.op("Mul", emit.op("Tanh", emit.op("Div", y, cap)), cap)
    elif tail == "late bias":
        y = emit.op("Mul", y, emit.constant(np.array(0.5, np.float32)))
        y.shape = ir.Shape(["batch", 1, VOCABULARY])
        y = emit.op("Add", y, parameters["head.bias"])
    elif tail == "softmax":
        y = emit.op("Softmax", y, axis=-1)
    elif tail == "reshaped":
        y = emit.op("Reshape", y, emit.integers(-1, 1, VOCABULARY))
    y = emit.op("Squeeze", y, emit.integers(1)) if tail != "gathered" else emit.op(
        "Gather", y, emit.constant(np.array(0)), axis=1
    )  # fmt: skip
    emit.append()
    set_outputs(model.graph, {"logits": (y, FLOAT, ["batch", VOCABULARY])})
    return model


def cut(model: ir.Model) -> ir.Model:
    scores = keep_label_rows(model.graph, normalise_linears(model.graph), WORDS)
    set_outputs(model.graph, {"scores": (scores, FLOAT, ["batch", len(WORDS)])})
    return model


@pytest.mark.parametrize("kind", ["plain", "bias", "conv"])
@pytest.mark.parametrize("tail", ["none", "scaled", "capped", "late bias", "reshaped", "gathered"])
def test_scores_are_the_label_columns_of_the_logits(kind: str, tail: str) -> None:
    (logits,) = run(head(kind, tail), FEEDS, TENSORS)
    (scores,) = run(cut(head(kind, tail)), FEEDS, TENSORS)
    np.testing.assert_allclose(scores, logits[:, WORDS], rtol=1e-5, atol=1e-5)


def test_operators_of_a_cut_head() -> None:
    linear = ["Gemm", "Shape", "Concat", "Reshape"]
    indices = ["Shape", "Min", "Add"]
    assert op_types(cut(head("plain", "capped")).graph) == [
        "Reshape",
        *indices,
        "Gather",
        *linear,
        "Div",
        "Tanh",
        "Mul",
        "Squeeze",
    ]
    assert op_types(cut(head("bias", "none")).graph) == ["Reshape", *indices, "Gather", "Gather", *linear, "Squeeze"]


def test_the_vocabulary_runs_along_the_second_axis_of_a_conv1d() -> None:
    gather = next(node for node in cut(head("conv", "none")).graph if node.op_type == "Gather")
    assert input_names(gather)[0] == "conv.weight"
    assert gather.attributes["axis"].as_int() == 1


def test_another_operator_behind_the_head_is_refused_by_name() -> None:
    model = head("plain", "softmax")
    node = next(node for node in model.graph if node.op_type == "Softmax")
    node.name = "the_softmax"
    with pytest.raises(SeedTuneError, match="Softmax node 'the_softmax'"):
        cut(model)


def test_logits_without_a_linear_layer_are_refused() -> None:
    h = make_value("h", FLOAT, ["batch", VOCABULARY])
    node = ir.node("Tanh", [h])
    model = make_graph([h], [], [node], [])
    set_outputs(model.graph, {"logits": (node.outputs[0], FLOAT, ["batch", VOCABULARY])})
    with pytest.raises(SeedTuneError, match="graph input"):
        cut(model)


def test_hidden_as_wide_as_the_vocabulary_is_cut_on_the_right_axis() -> None:
    tensors = {"head.weight": GENERATOR.standard_normal((HIDDEN, HIDDEN)).astype(np.float32)}
    h, weight = make_value("h", FLOAT, ["batch", HIDDEN]), make_value("head.weight", FLOAT, (HIDDEN, HIDDEN))
    node = ir.node("Gemm", [h, weight], {"transB": 1})
    model = make_graph([h], [], [node], [weight])
    set_outputs(model.graph, {"logits": (node.outputs[0], FLOAT, ["batch", HIDDEN])})
    scores = keep_label_rows(model.graph, normalise_linears(model.graph), (5, 0))
    set_outputs(model.graph, {"scores": (scores, FLOAT, ["batch", 2])})
    feeds = {"h": FEEDS["h"][:, 0]}
    (found,) = run(model, feeds, tensors)
    np.testing.assert_allclose(found, (feeds["h"] @ tensors["head.weight"].T)[:, [5, 0]], rtol=1e-5, atol=1e-5)
