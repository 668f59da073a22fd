"""Gradients on top of a scan: within their bound, held against the file, and as strong as a plain descent."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import onnx_ir as ir
import onnxruntime
import pytest
import torch
from scan_lab import write_classifier

import seedtune
from seedtune import SeedTuneError
from seedtune.exporter.onnx_source.classifier import Classifier
from seedtune.exporter.onnx_source.scan_graphs import Normalisation, write_map_graphs
from seedtune.exporter.onnx_source.tone_map import ToneMap
from seedtune.exporter.white_box.on_states import OfState
from seedtune.runtime.report.scan_page import render_scan

pytestmark = pytest.mark.traced
BOUND, STEPS = 0.1, 20
FIRST = 150


@pytest.fixture(scope="module")
def boxed(scan_of: Callable[..., SimpleNamespace], lab: SimpleNamespace) -> Callable[[str], SimpleNamespace]:
    """``boxed(kind)``: a strict scan with gradients on top, shown to its own classifier as another one."""
    made: dict[str, SimpleNamespace] = {}

    def give(kind: str) -> SimpleNamespace:
        if kind not in made:
            made[kind] = scan_of(
                also=kind, also_steps=STEPS, norm_bound=BOUND, first=FIRST, correlation=0.97, transfer=[lab.classifier]
            )
        return made[kind]

    return give


def losses_of(kind: str, scores: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """What either attack wants to grow, a picture."""
    if kind == "pgd":
        return torch.nn.functional.cross_entropy(scores, labels, reduction="none")
    own = scores.gather(1, labels[:, None])[:, 0]
    return scores.scatter(1, labels[:, None], -torch.inf).max(1).values - own


def fooled_by_hand(lab: SimpleNamespace, kind: str) -> float:
    """The share of a plain descent over the layers themselves, from the untouched pictures that are got right."""
    layers = [(torch.tensor(w, dtype=torch.float32), torch.tensor(b, dtype=torch.float32)) for w, b in lab.layers]

    def scores_of(values: torch.Tensor) -> torch.Tensor:
        for number, (weights, bias) in enumerate(layers):
            values = (torch.relu(values) if number else values) @ weights + bias
        return values

    values, labels = torch.tensor(lab.values[:FIRST]), torch.tensor(lab.labels[:FIRST])
    right = scores_of(values).argmax(1) == labels
    values, labels = values[right], labels[right]
    torch.manual_seed(1)
    moved = (values + torch.empty_like(values).uniform_(-BOUND, BOUND)).clamp(0, 1)
    for _step in range(STEPS):
        moved.requires_grad_(True)
        (gradient,) = torch.autograd.grad(losses_of(kind, scores_of(moved), labels).sum(), moved)
        moved = (moved.detach() + 2.5 * BOUND / STEPS * gradient.sign()).clamp(values - BOUND, values + BOUND)
        moved = moved.clamp(0, 1)
    return float((scores_of(moved).argmax(1) != labels).float().mean())


@pytest.mark.parametrize("kind", ["pgd", "cw"])
def test_alone_it_fools_as_often_as_a_plain_descent_does(
    lab: SimpleNamespace, boxed: Callable[[str], SimpleNamespace], kind: str
) -> None:
    found = boxed(kind).result.white_box
    # Whole bytes and another random start make a difference of a few pictures.
    assert abs(found.alone - fooled_by_hand(lab, kind)) <= 0.05
    assert 0.2 < found.alone < 1


@pytest.mark.parametrize(("a_channel", "patterns", "channels"), [(False, 0, 1), (True, 5, 3), (True, 0, 3)])
def test_a_map_with_gradients_makes_the_pictures_of_the_one_without(
    tmp_path: Path, a_channel: bool, patterns: int, channels: int
) -> None:
    change = ToneMap(knots=6, channels=channels, pixels=channels * 20, a_channel=a_channel, patterns=patterns)
    given = Classifier(tmp_path, "pixels", "scores", "channels first", channels, 4, 5, "float32", False)
    write_map_graphs(tmp_path, given, change, Normalisation())
    generator = np.random.default_rng(1)
    pictures = generator.random((7, change.pixels), np.float32)
    # A white pixel is of the last knot.
    pictures[:, 0] = 1
    states = (0.4 * generator.standard_normal((7, change.parameters))).astype(np.float32)
    feeds: dict[str, Any] = {"image": pictures, "state": states}
    told = generator.integers(0, patterns, pictures.shape) if patterns else None
    if told is not None:
        feeds["pattern"] = told
    session = onnxruntime.InferenceSession(str(tmp_path / "apply.onnx"))
    whole, correlation, contrast = session.run(["pictures", "correlation", "contrast"], feeds)
    shown = torch.from_numpy(pictures).reshape(7, channels, 4, 5)
    module = OfState(torch.nn.Flatten(), change, shown, None if told is None else torch.from_numpy(told))
    mine = module(torch.from_numpy(states)).numpy()
    # But for rounding to bytes.
    assert np.abs(mine[:, :-2] - whole).max() <= 0.5 / 255 + 1e-5
    np.testing.assert_allclose(mine[:, -2], correlation, atol=5e-3)
    np.testing.assert_allclose(mine[:, -1], contrast, atol=5e-3)


@pytest.mark.parametrize("kind", ["pgd", "cw"])
def test_what_fools_on_top_is_what_the_file_gets_wrong_and_every_find_is_among_it(
    lab: SimpleNamespace, boxed: Callable[[str], SimpleNamespace], kind: str
) -> None:
    scan = boxed(kind)
    result, found = scan.result, scan.result.white_box
    with np.load(scan.path / "white_box.npz") as arrays:
        images, labels, places = arrays["images"], arrays["labels"], arrays["places"]
    session = onnxruntime.InferenceSession(str(lab.classifier))
    (scores,) = session.run(None, {"pixels": images.transpose(0, 3, 1, 2).astype(np.float32) / np.float32(255)})
    assert (scores.argmax(1) != labels).all()
    assert len(images) == round(found.on_top * result.images)
    assert found.on_top >= max(found.on_map, found.alone)
    assert found.on_map >= result.success
    assert found.on_top > result.success
    assert len(set(places.tolist())) == len(places)
    # Its own classifier, as another one, gets all of them wrong that it got right.
    assert [(each.right, each.fooled) for each in found.transfer] == [(len(images), len(images))]


def test_gradients_of_the_map_find_what_the_search_did_not_under_the_same_rules(
    scan_of: Callable[..., SimpleNamespace],
) -> None:
    found = scan_of(also="cw", first=FIRST, correlation=0.95, attack="spa", queries=40, norm_bound=1 / 255).result
    assert found.white_box.on_map > found.success + 0.03
    # Within one 255th hardly anything is left to be found on top.
    assert found.white_box.on_top < found.white_box.on_map + 0.03


def test_no_value_goes_farther_than_the_bound_from_what_the_search_made(
    boxed: Callable[[str], SimpleNamespace],
) -> None:
    scan = boxed("pgd")
    lines = [line for line in (scan.path / "scan.jsonl").read_text().splitlines() if '"found":true' in line]
    with np.load(scan.path / "pictures.npz") as made, np.load(scan.path / "white_box.npz") as attacked:
        found = {int(key): picture for key, picture in zip(_places(scan, lines), made["images"], strict=True)}
        apart = [
            np.abs(picture.astype(int) - found[place].astype(int)).max()
            for place, picture in zip(attacked["places"].tolist(), attacked["images"], strict=True)
            if place in found
        ]
    assert len(apart) == len(found) > 0
    assert 0 < max(apart) <= int(BOUND * 255)


def _places(scan: SimpleNamespace, lines: list[str]) -> list[int]:
    """Of what was found, among the pictures that were searched."""
    every = (scan.path / "scan.jsonl").read_text().splitlines()
    return [every.index(line) for line in lines]


def test_the_page_shows_it(boxed: Callable[[str], SimpleNamespace]) -> None:
    page = render_scan(boxed("cw").path)
    assert "CW with gradients within 0.1" in page
    assert "cw on top" in page


def test_the_same_seed_gives_the_same_pictures(
    scan_of: Callable[..., SimpleNamespace], boxed: Callable[[str], SimpleNamespace]
) -> None:
    again = scan_of(also="pgd", also_steps=STEPS, norm_bound=BOUND, first=FIRST, correlation=0.97)
    with np.load(again.path / "white_box.npz") as mine, np.load(boxed("pgd").path / "white_box.npz") as theirs:
        assert mine["images"].tobytes() == theirs["images"].tobytes()


@pytest.mark.parametrize(
    ("shape", "probabilities", "options"),
    [
        ((8, 8, 1), False, {}),
        ((64,), True, {}),
        ((1, 8, 8), False, {"mean": (0.3,), "deviation": (0.5,)}),
        # As `export_classifier` writes it, newer than what onnx2torch knows.
        ((1, 8, 8), False, {"opset": 21}),
    ],
)
def test_other_orders_of_axes_scores_and_normalisation_are_followed(
    lab: SimpleNamespace,
    scan_of: Callable[..., SimpleNamespace],
    tmp_path: Path,
    shape: tuple[int, ...],
    probabilities: bool,
    options: dict[str, Any],
) -> None:
    """Otherwise it would be refused: scores with gradients are held against ONNX Runtime's."""
    opset = options.pop("opset", 17)
    classifier = write_classifier(
        tmp_path / "net.onnx", lab.layers, shape=shape, probabilities=probabilities, opset=opset
    )
    scan = scan_of(classifier, also="pgd", also_steps=3, first=20, queries=4, **options)
    assert 0 <= scan.result.white_box.alone <= scan.result.white_box.on_top


def test_what_torch_exports_gets_its_gradients_back(
    lab: SimpleNamespace, scan_of: Callable[..., SimpleNamespace], tmp_path: Path
) -> None:
    """Its reshapes have an attribute that onnx2torch refuses."""
    weights, _bias = lab.layers[0]
    first = [torch.nn.Flatten(), torch.nn.Linear(*weights.shape), torch.nn.Unflatten(1, (12, 4)), torch.nn.Flatten()]
    last = torch.nn.Linear(48, 10)
    torch.nn.init.eye_(last.weight)
    module = torch.nn.Sequential(*first, last)
    seedtune.export_classifier(module, image_shape=(1, 8, 8), out=tmp_path / "net.onnx")
    assert any(node.op_type == "Reshape" and node.attributes for node in ir.load(tmp_path / "net.onnx").graph)
    assert scan_of(tmp_path / "net.onnx", also="cw", also_steps=3, first=40, queries=4).result.white_box is not None


@pytest.mark.parametrize(
    ("kind", "operator", "refusal"), [("uint8", None, "whole bytes"), ("float32", "Shrink", "cannot be made")]
)
def test_a_classifier_without_gradients_is_refused_by_name(
    lab: SimpleNamespace, tmp_path: Path, kind: str, operator: str | None, refusal: str
) -> None:
    classifier = write_classifier(tmp_path / "net.onnx", lab.layers, kind=kind)
    if operator:
        model = ir.load(classifier)
        next(node for node in model.graph if node.op_type == "Relu").op_type = operator
        ir.save(model, classifier)
    with pytest.raises(SeedTuneError, match=refusal):
        list(seedtune.scan(classifier, images=lab.images, out=tmp_path / "scan", also="pgd", first=20, queries=4))
    assert not (tmp_path / "scan").exists()
