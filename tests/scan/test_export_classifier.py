"""A torch module becomes a classifier that a scan takes, and gives the module's scores."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import onnxruntime
import pytest
import torch

import seedtune
from seedtune import SeedTuneError
from seedtune.events import ScanFinished

pytestmark = pytest.mark.traced


def module_of(lab: SimpleNamespace) -> torch.nn.Module:
    """The net of the other tests, as torch has it."""
    layers: list[torch.nn.Module] = [torch.nn.Flatten()]
    for weights, bias in lab.layers:
        linear = torch.nn.Linear(*weights.shape)
        with torch.no_grad():
            linear.weight.copy_(torch.from_numpy(weights.T))
            linear.bias.copy_(torch.from_numpy(bias))
        layers += [linear, torch.nn.ReLU()]
    return torch.nn.Sequential(*layers[:-1])


def test_it_gives_the_modules_scores_for_any_number_of_images(lab: SimpleNamespace, tmp_path: Path) -> None:
    module, path = module_of(lab), tmp_path / "net.onnx"
    seedtune.export_classifier(module, image_shape=(1, 8, 8), out=path)
    session = onnxruntime.InferenceSession(str(path))
    for count in (1, 2, 17):
        images = lab.values[:count].reshape(-1, 1, 8, 8)
        with torch.no_grad():
            expected = module(torch.from_numpy(images)).numpy()
        np.testing.assert_allclose(session.run(None, {"pixels": images})[0], expected, atol=1e-4)
    *_, last = seedtune.scan(path, images=lab.images, out=tmp_path / "scan", first=60, queries=40)
    assert isinstance(last, ScanFinished)
    assert last.result.success > 0.5


@pytest.mark.parametrize(
    ("module", "what"),
    [
        (torch.nn.Conv2d(3, 4, 3), "cannot be exported"),
        (torch.nn.Conv2d(1, 4, 3), "other scores than the module"),
    ],
)
def test_what_is_no_classifier_of_such_images_is_refused(module: torch.nn.Module, what: str, tmp_path: Path) -> None:
    with pytest.raises(SeedTuneError, match=what):
        seedtune.export_classifier(module, image_shape=(1, 8, 8), out=tmp_path / "net.onnx")
    assert not (tmp_path / "net.onnx").exists()
