"""What cannot be scanned is refused by name, and leaves no folder."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import onnx_ir as ir
import pytest
from PIL import Image
from scan_lab import write_classifier

import seedtune
from seedtune import SeedTuneError
from seedtune.events import ScanFinished
from seedtune.runtime.scan.images import read_images


def refused(lab: SimpleNamespace, tmp_path: Path, what: str, **options: Any) -> None:
    given = {"classifier": lab.classifier, "images": lab.images} | options
    with pytest.raises(SeedTuneError, match=what):
        list(seedtune.scan(given.pop("classifier"), out=tmp_path / "scan", **given))
    assert not (tmp_path / "scan").exists()
    assert not list(tmp_path.glob(".scan*"))


def npz(tmp_path: Path, **arrays: Any) -> Path:
    np.savez(tmp_path / "images.npz", **arrays)
    return tmp_path / "images.npz"


def pictures(count: int = 4, size: int = 8) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (count, size, size), np.uint8)


BAD: dict[str, Callable[[], dict[str, Any]]] = {
    "images do not fit": lambda: {"images": pictures(size=9), "labels": np.zeros(4, int)},
    "a class that the classifier has not": lambda: {"images": pictures(), "labels": np.array([0, 1, 2, 10])},
    "a class below 0": lambda: {"images": pictures(), "labels": np.array([0, -2, 2, 1])},
    "has no labels": lambda: {"images": pictures()},
    "arrays of other shapes": lambda: {"images": pictures(), "labels": np.zeros(3, int)},
    "has images of another type": lambda: {"images": pictures().astype(np.int32), "labels": np.zeros(4, int)},
    "values that no picture has": lambda: {"images": pictures() / 10, "labels": np.zeros(4, int)},
    "has no images": lambda: {"images": pictures(0), "labels": np.zeros(0, int)},
    "is no .npz of plain arrays": lambda: {"images": np.array([{}], object), "labels": np.zeros(1, int)},
}


@pytest.mark.parametrize("what", BAD)
def test_pictures_that_are_none(lab: SimpleNamespace, tmp_path: Path, what: str) -> None:
    refused(lab, tmp_path, what, images=npz(tmp_path, **BAD[what]()))


def test_a_net_that_gets_nothing_right(lab: SimpleNamespace, tmp_path: Path) -> None:
    with np.load(lab.images) as arrays:
        images, labels = arrays["images"], arrays["labels"]
    refused(
        lab,
        tmp_path,
        "none of these pictures right",
        images=npz(tmp_path, images=images[:1], labels=(labels[:1] + 1) % 10),
    )


def test_a_folder_with_something_else_in_it(lab: SimpleNamespace, tmp_path: Path) -> None:
    folder = tmp_path / "pictures"
    (folder / "3").mkdir(parents=True)
    Image.fromarray(pictures()[0]).save(folder / "3" / "a.png")
    (folder / "3" / "notes.txt").write_text("hello")
    refused(lab, tmp_path, "notes.txt is no image file", images=folder)
    (folder / "3" / "notes.txt").rename(folder / "3" / "b.png")
    refused(lab, tmp_path, "b.png cannot be read as an image", images=folder)
    (folder / "3" / "b.png").unlink()
    Image.fromarray(pictures(size=9)[0]).save(folder / "3" / "c.png")
    refused(lab, tmp_path, "c.png has another size", images=folder)
    refused(lab, tmp_path, "no images here", images=tmp_path / "absent")


def test_a_folder_of_pictures_is_what_its_files_are(tmp_path: Path) -> None:
    colours = np.random.default_rng(1).integers(0, 256, (2, 5, 7, 3), np.uint8)
    for label, picture in zip((4, 0), colours, strict=True):
        (tmp_path / str(label)).mkdir()
        Image.fromarray(picture).save(tmp_path / str(label) / "x.png")
    images = read_images(tmp_path)
    assert (images.height, images.width, images.channels, images.labels.tolist()) == (5, 7, 3, [0, 4])
    assert images.names == ("0/x.png", "4/x.png")
    np.testing.assert_array_equal(np.round(images.values[1] * 255).reshape(3, 5, 7), colours[0].transpose(2, 0, 1))


def test_pictures_of_which_nobody_says_what_they_show_are_searched_by_the_nets_own_answers(
    lab: SimpleNamespace, tmp_path: Path
) -> None:
    with np.load(lab.images) as arrays:
        for number, picture in enumerate(arrays["images"][:6]):
            (tmp_path / "some").mkdir(exist_ok=True)
            Image.fromarray(picture).save(tmp_path / "some" / f"{number}.png")
    *_, last = seedtune.scan(lab.classifier, images=tmp_path / "some", out=tmp_path / "scan", queries=40)
    assert isinstance(last, ScanFinished)
    assert last.result.images == 6
    assert last.result.accuracy_before is None


def test_classifiers_that_are_none(lab: SimpleNamespace, tmp_path: Path) -> None:
    def altered(name: str, change: Callable[[ir.Graph], None]) -> Path:
        model = ir.load(lab.classifier)
        change(model.graph)
        ir.save(model, tmp_path / name)
        return tmp_path / name

    def second_input(graph: ir.Graph) -> None:
        graph.inputs.append(ir.Value(name="more", type=ir.TensorType(ir.DataType.FLOAT), shape=ir.Shape([1])))

    def second_output(graph: ir.Graph) -> None:
        inner = graph[-2].outputs[0]
        inner.type, inner.shape = ir.TensorType(ir.DataType.FLOAT), ir.Shape(["images", 48])
        graph.outputs.append(inner)

    def text(graph: ir.Graph) -> None:
        graph.inputs[0].type = ir.TensorType(ir.DataType.STRING)

    refused(lab, tmp_path, "has 2 inputs", classifier=altered("two.onnx", second_input))
    refused(lab, tmp_path, "has 2 outputs", classifier=altered("outputs.onnx", second_output))
    refused(lab, tmp_path, "input is of another type", classifier=altered("text.onnx", text))
    (tmp_path / "none.onnx").write_text("hello")
    refused(lab, tmp_path, "no ONNX model", classifier=tmp_path / "none.onnx")
    fixed = write_classifier(tmp_path / "fixed.onnx", lab.layers, images=1)
    refused(lab, tmp_path, "cannot compute these images", classifier=fixed)


@pytest.mark.parametrize(
    "option", [{"queries": 1}, {"attack": "fgsm"}, {"correlation": 2.0}, {"knots": 1}, {"unknown": 3}]
)
def test_settings_that_cannot_be(lab: SimpleNamespace, tmp_path: Path, option: dict[str, Any]) -> None:
    refused(lab, tmp_path, "a setting of the scan cannot be", **option)


def test_a_folder_that_is_there(lab: SimpleNamespace, tmp_path: Path) -> None:
    (tmp_path / "scan").mkdir()
    (tmp_path / "scan" / "mine").write_text("mine")
    with pytest.raises(SeedTuneError, match="there already"):
        list(seedtune.scan(lab.classifier, images=lab.images, out=tmp_path / "scan"))
    assert (tmp_path / "scan" / "mine").read_text() == "mine"
