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
    gradient.name = "sum"
    mean = ir.node("Div", [gradient, four])
    graph.append(mean)
    mean.outputs[0].name, mean.outputs[0].type, mean.outputs[0].shape = "gradient", gradient.type, gradient.shape
    graph.outputs[list(graph.outputs).index(gradient)] = mean.outputs[0]


def lose_the_residual(graph: ir.Graph) -> None:
    """One cotangent of the two that come together where a layer's input branches off."""
    order = list(graph)
    last_product = max(place for place, node in enumerate(order) if node.op_type == "LogSoftmax")
    for node in order[last_product:]:
        second = node.inputs[1] if node.op_type == "Add" else None
        if second is not None and all(value is not None and value.producer() for value in node.inputs):
            ir.convenience.replace_all_uses_with(node.outputs[0], second)
            return
    raise AssertionError("no two cotangents come together")


def test_the_gradient_of_an_export_is_the_slope_of_its_losses(exported: Exported) -> None:
    assert gradient_error(exported.bundle, exported.rows(), random_state(exported.layout)) < 1e-2


@pytest.mark.parametrize("change", [divide_by_the_rows, lose_the_residual])
def test_another_gradient_is_refused(exported: Exported, tmp_path: Path, change: Callable[[ir.Graph], None]) -> None:
    bundle = altered(exported, tmp_path / "bundle", change)
    with pytest.raises(SeedTuneError, match="does not tell the slope"):
        refuse_wrong_gradient(bundle, exported.rows(), random_state(exported.layout))
