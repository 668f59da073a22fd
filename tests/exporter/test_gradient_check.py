"""The check of an export sees a gradient graph that does not tell the slope of the loss."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx_ir as ir
import pytest
from export_lab import random_state
from gradient_lab import Exported, export

from seedtune.exporter.reference.slope import gradient_error, refuse_wrong_gradient
from seedtune.runtime.bundle.manifest import describe
from seedtune.runtime.bundle.reader import Bundle
from seedtune.runtime.errors import SeedTuneError
from seedtune.runtime.model.single_call import SingleCalls

pytestmark = pytest.mark.traced


@pytest.fixture(scope="module")
def exported(folder: Callable[[str], Path], tmp_path_factory: pytest.TempPathFactory) -> Exported:
    """A bundle of two layers, seven targets each."""
    return export(folder("llama"), tmp_path_factory.mktemp("bundles"))["fp32"]


def altered(exported: Exported, out: Path, change: Callable[[ir.Graph], None]) -> Bundle:
    """A copy of the bundle with another gradient graph, with which its manifest agrees."""
    shutil.copytree(exported.bundle.path, out)
    model = ir.load(out / "gradient.onnx")
    change(model.graph)
    ir.save(model, out / "gradient.onnx")
    manifest = json.loads((out / "manifest.json").read_text())
    entry = describe(out / "gradient.onnx")
    manifest["files"]["gradient.onnx"] = {"size_bytes": entry.size_bytes, "sha256": entry.sha256}
    (out / "manifest.json").write_text(json.dumps(manifest))
    return Bundle.open(out)


def divide_by_the_rows(graph: ir.Graph) -> None:
    """A mean in place of a sum, as a lowering of cross-entropy once had it: by four rows."""
    (gradient,) = [value for value in graph.outputs if value.name == "gradient"]
    four = ir.Value(name="four", const_value=ir.tensor(np.array(4, np.float32), name="four"))
    graph.register_initializer(four)
    replace_output(graph, gradient, "Div", four)


def replace_output(graph: ir.Graph, gradient: ir.Value, op_type: str, other: ir.Value) -> None:
    """Puts what an operator makes of ``gradient`` and ``other`` in place of the output."""
    gradient.name = "before"
    node = ir.node(op_type, [gradient, other])
    graph.append(node)
    node.outputs[0].name, node.outputs[0].type, node.outputs[0].shape = "gradient", gradient.type, gradient.shape
    graph.outputs[list(graph.outputs).index(gradient)] = node.outputs[0]


def forget_targets(graph: ir.Graph) -> None:
    """No gradient for the first half of the targets, as if nothing came back to these layers."""
    (gradient,) = [value for value in graph.outputs if value.name == "gradient"]
    assert gradient.shape is not None
    kept = np.ones(gradient.shape.numpy(), np.float32)
    kept[: len(kept) // 2] = 0
    mask = ir.Value(name="kept", const_value=ir.tensor(kept, name="kept"))
    graph.register_initializer(mask)
    replace_output(graph, gradient, "Mul", mask)


def test_the_gradient_of_an_export_is_the_slope_of_its_losses(exported: Exported) -> None:
    assert gradient_error(SingleCalls(exported.bundle), exported.rows(), random_state(exported.layout)) < 1e-2


@pytest.mark.parametrize("change", [divide_by_the_rows, forget_targets])
def test_another_gradient_is_refused(exported: Exported, tmp_path: Path, change: Callable[[ir.Graph], None]) -> None:
    bundle = altered(exported, tmp_path / "bundle", change)
    with pytest.raises(SeedTuneError, match="does not tell the slope"):
        refuse_wrong_gradient(SingleCalls(bundle), exported.rows(), random_state(exported.layout))
