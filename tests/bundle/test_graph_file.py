"""Graphs of a bundle may compute, and nothing else: what a stranger could put into one is refused by name."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper

from seedtune.runtime.bundle.graph_file import STANDARD_OPERATORS, require_harmless
from seedtune.runtime.bundle.protobuf import WireError, fields
from seedtune.runtime.errors import SeedTuneError
from seedtune.runtime.graphs.session import open_session

pytestmark = pytest.mark.traced

FLOATS = helper.make_tensor_value_info("x", TensorProto.FLOAT, [2])
RESULT = helper.make_tensor_value_info("y", TensorProto.FLOAT, [2])


def model_of(*nodes: onnx.NodeProto, initializers: list[TensorProto] | None = None) -> onnx.ModelProto:
    graph = helper.make_graph(list(nodes), "hand", [FLOATS], [RESULT], initializers or [])
    imports = [helper.make_opsetid("", 21), helper.make_opsetid("com.microsoft", 1), helper.make_opsetid("evil", 1)]
    return helper.make_model(graph, opset_imports=imports, ir_version=10)


def node(operator: str, domain: str = "", **attributes: Any) -> onnx.NodeProto:
    return helper.make_node(operator, ["x"], ["y"], domain=domain, **attributes)


def external(location: str, offset: int, length: int) -> TensorProto:
    tensor = TensorProto(name="w", data_type=TensorProto.FLOAT, dims=[2], data_location=TensorProto.EXTERNAL)
    for key, value in (("location", location), ("offset", offset), ("length", length)):
        entry = tensor.external_data.add()
        entry.key, entry.value = key, str(value)
    return tensor


def add(tensor: TensorProto) -> onnx.ModelProto:
    return model_of(helper.make_node("Add", ["x", "w"], ["y"]), initializers=[tensor])


def inner() -> onnx.GraphProto:
    return helper.make_graph([node("Neg")], "inner", [], [RESULT])


def with_function() -> onnx.ModelProto:
    model = model_of(node("Mine", "evil"))
    model.functions.append(
        helper.make_function("evil", "Mine", ["x"], ["y"], [node("Neg")], [helper.make_opsetid("", 21)])
    )
    return model


def with_training() -> onnx.ModelProto:
    model = model_of(node("Neg"))
    model.training_info.add()
    return model


REFUSED: dict[str, tuple[Callable[[], onnx.ModelProto], str]] = {
    "an operator of another domain": (lambda: model_of(node("Neg", "evil")), "evil.Neg"),
    "one of ONNX Runtime's that reads files": (lambda: model_of(node("EPContext", "com.microsoft")), "EPContext"),
    "one that nobody knows": (lambda: model_of(node("Explode")), "Explode"),
    "a function": (with_function, "functions of its own"),
    "a training graph": (with_training, "training graph"),
    "a branch": (lambda: model_of(node("If", then_branch=inner(), else_branch=inner())), "'If'"),
    "a loop": (lambda: model_of(node("Loop", body=inner())), "'Loop'"),
    "a scan": (lambda: model_of(node("Scan", body=inner(), num_scan_inputs=1)), "'Scan'"),
    "a graph where none belongs": (lambda: model_of(node("Neg", body=inner())), "holds what no bundle needs"),
    "text": (lambda: model_of(node("StringNormalizer")), "StringNormalizer"),
    "randomness": (lambda: model_of(node("RandomNormalLike")), "RandomNormalLike"),
    "a file above": (lambda: add(external("../secrets", 0, 8)), r"'\.\./secrets'"),
    "a file of the system": (lambda: add(external("/etc/passwd", 0, 8)), "/etc/passwd"),
    "another file beside it": (lambda: add(external("tokenizer.json", 0, 8)), "tokenizer.json"),
    "behind the end": (lambda: add(external("weights.safetensors", 60, 8)), "behind the end"),
    "before the beginning": (lambda: add(external("weights.safetensors", -8, 8)), "behind the end"),
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """With a file of weights of 64 bytes."""
    (tmp_path / "weights.safetensors").write_bytes(np.arange(16, dtype="<f4").tobytes())
    return tmp_path


@pytest.mark.parametrize("name", REFUSED)
def test_what_no_bundle_needs_is_refused_before_onnx_runtime_sees_it(folder: Path, name: str) -> None:
    make, words = REFUSED[name]
    path = folder / "eval.onnx"
    path.write_bytes(make().SerializeToString())
    with pytest.raises(SeedTuneError, match=words) as caught:
        open_session(path)
    assert str(path) in str(caught.value)
    assert caught.value.remedy


def test_a_tensor_in_an_attribute_is_looked_at_too(folder: Path) -> None:
    path = folder / "eval.onnx"
    path.write_bytes(model_of(node("Constant", value=external("../secrets", 0, 8))).SerializeToString())
    with pytest.raises(SeedTuneError, match="not the bundle's"):
        require_harmless(path)


def test_plain_graphs_with_weights_of_the_bundle_run(folder: Path) -> None:
    path = folder / "eval.onnx"
    path.write_bytes(add(external("weights.safetensors", 8, 8)).SerializeToString())
    (found,) = open_session(path).run(None, {"x": np.ones(2, np.float32)})
    assert found.tolist() == [3, 4]


def test_a_loop_is_the_update_graphs_alone_and_holds_none_itself(folder: Path, tiny_bundle: Path) -> None:
    require_harmless(tiny_bundle / "update.onnx")
    renamed = folder / "eval.onnx"
    renamed.write_bytes((tiny_bundle / "update.onnx").read_bytes())
    with pytest.raises(SeedTuneError, match="'Loop'"):
        require_harmless(renamed)
    body = helper.make_graph([node("Loop", body=inner())], "body", [], [RESULT])
    nested = folder / "update.onnx"
    nested.write_bytes(model_of(node("Loop", body=body)).SerializeToString())
    with pytest.raises(SeedTuneError, match="'Loop'"):
        require_harmless(nested)


def test_all_graphs_of_a_bundle_are_harmless(suffix_bundle: Path) -> None:
    graphs = sorted(suffix_bundle.glob("*.onnx"))
    assert len(graphs) > 5
    for path in graphs:
        require_harmless(path)


def test_the_list_of_operators_has_nothing_that_onnx_does_not_know() -> None:
    assert {schema.name for schema in onnx.defs.get_all_schemas()} >= STANDARD_OPERATORS


@settings(max_examples=200, deadline=None)
@given(raw=st.binary(max_size=60))
def test_bytes_that_are_no_onnx_file_are_an_error_and_nothing_worse(
    tmp_path_factory: pytest.TempPathFactory, raw: bytes
) -> None:
    path = tmp_path_factory.getbasetemp() / "any.onnx"
    path.write_bytes(raw)
    with contextlib.suppress(SeedTuneError):
        require_harmless(path)


def test_the_wire_format_is_read_as_onnx_reads_it() -> None:
    tensor = numpy_helper.from_array(np.arange(3, dtype=np.float32), "t")
    found = dict(fields(memoryview(tensor.SerializeToString())))
    assert bytes(found[9]) == tensor.raw_data
    assert found[2] == TensorProto.FLOAT
    for spoilt in (b"\x0a\x05ab", b"\xff" * 11, b"\x0b", b"\x0a"):
        with pytest.raises(WireError):
            list(fields(memoryview(spoilt)))
