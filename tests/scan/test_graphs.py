"""The graphs before and behind a classifier compute what numpy computes of the same words."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from scan_lab import spt_by_hand

from seedtune.exporter.onnx_source.classifier import read_classifier
from seedtune.exporter.onnx_source.pixel_map import PixelMap
from seedtune.exporter.onnx_source.scan_graphs import (
    WEIGHT_OF_LIKENESS,
    Goal,
    Normalisation,
    write_loss_graph,
    write_map_graphs,
)
from seedtune.exporter.onnx_source.tone_map import SHIFT, ToneMap
from seedtune.runtime.graphs.session import open_session
from seedtune.runtime.noise import rademacher

COLOURS = ToneMap(knots=5, channels=3, pixels=3 * 4, a_channel=True, patterns=4)
GREY = ToneMap(knots=16, channels=1, pixels=64)


@pytest.fixture
def graphs(lab: SimpleNamespace, tmp_path: Path) -> Path:
    write_map_graphs(tmp_path, read_classifier(lab.classifier, (8, 8, 1)), GREY, Normalisation())
    return tmp_path


def test_a_curve_is_numpys_interpolation_in_whole_bytes(lab: SimpleNamespace, graphs: Path) -> None:
    states = np.random.default_rng(0).normal(0, 0.3, (50, GREY.parameters)).astype(np.float32)
    values = lab.values[:50]
    pictures, correlation, contrast = open_session(graphs / "apply.onnx").run(
        ["pictures", "correlation", "contrast"], {"image": values, "state": states}
    )
    expected = np.stack([spt_by_hand(x, s[:16]) for x, s in zip(values, states, strict=True)])
    # A value that lies between two bytes may be rounded either way.
    assert np.abs(pictures - expected).max() < 1.01 / 255
    assert (np.abs(pictures - expected) > 1e-5).mean() < 0.002
    for row in range(50):
        moving = pictures[row].std() > 0
        by_hand = np.corrcoef(values[row], pictures[row])[0, 1] if moving else 0
        assert correlation[row] == pytest.approx(by_hand, abs=1e-4)
        assert contrast[row] == pytest.approx(pictures[row].std() / values[row].std(), abs=1e-4)


def test_equal_pixels_stay_equal(lab: SimpleNamespace, graphs: Path) -> None:
    states = np.random.default_rng(1).normal(0, 0.5, (20, GREY.parameters)).astype(np.float32)
    (pictures,) = open_session(graphs / "apply.onnx").run(["pictures"], {"image": lab.values[:20], "state": states})
    for before, after in zip(lab.values[:20], pictures, strict=True):
        for value in np.unique(before):
            assert len(np.unique(after[before == value])) == 1


def test_the_state_zero_changes_nothing_and_both_sides_are_those_of_the_noise(
    lab: SimpleNamespace, graphs: Path
) -> None:
    apply, probe = (open_session(graphs / f"{name}.onnx") for name in ("apply", "probe"))
    values, zero = lab.values[:7], np.zeros((7, GREY.parameters), np.float32)
    (untouched,) = apply.run(["pictures"], {"image": values, "state": zero})
    np.testing.assert_array_equal(untouched, values)
    state = np.random.default_rng(2).normal(0, 0.1, zero.shape).astype(np.float32)
    feeds = {"image": values, "state": state, "seed": np.array([99]), "epsilon": np.array([0.08], np.float32)}
    sides = np.split(probe.run(["input"], feeds)[0], 2)
    away = rademacher(99, GREY.parameters) * np.float32(0.08)
    for sign, side in zip((1, -1), sides, strict=True):
        (expected,) = apply.run(["input"], {"image": values, "state": state + np.float32(sign) * away})
        np.testing.assert_array_equal(side, expected)


def test_a_pattern_moves_by_an_amount_of_its_own_a_channel(lab: SimpleNamespace, tmp_path: Path) -> None:
    from seedtune.exporter.onnx_source.classifier import Classifier

    classifier = Classifier(lab.classifier, "pixels", "scores", "channels first", 3, 2, 2, "float32", False)
    write_map_graphs(tmp_path, classifier, COLOURS, Normalisation())
    generator = np.random.default_rng(3)
    image = generator.integers(60, 190, (1, 12)).astype(np.float32) / np.float32(255)
    pattern = np.tile(np.array([0, 1, 2, 3]), 3)[None]
    state = np.zeros((1, COLOURS.parameters), np.float32)
    shifts = (generator.integers(-50, 50, (4, 3)) / 255).astype(np.float32)
    state[0, 15 : 15 + 12] = shifts.ravel() / SHIFT
    (pictures,) = open_session(tmp_path / "apply.onnx").run(
        ["pictures"], {"image": image, "state": state, "pattern": pattern}
    )
    np.testing.assert_allclose(pictures[0].reshape(3, 4), image.reshape(3, 4) + shifts.T, atol=1e-6)


def test_single_pixels_stay_within_their_bound(lab: SimpleNamespace, tmp_path: Path) -> None:
    change = PixelMap(64, 0.1)
    write_map_graphs(tmp_path, read_classifier(lab.classifier, (8, 8, 1)), change, Normalisation())
    states = np.random.default_rng(5).normal(0, 1, (9, change.parameters)).astype(np.float32)
    values = lab.values[:9]
    (pictures,) = open_session(tmp_path / "apply.onnx").run(["pictures"], {"image": values, "state": states})
    expected = np.clip(np.round((values + 0.1 * np.clip(states[:, :64], -1, 1)) * 255) / 255, 0, 1)
    assert np.abs(pictures - expected).max() < 1.01 / 255
    assert (np.abs(pictures - expected) > 1e-5).mean() < 0.01
    assert np.abs(pictures - values).max() <= 0.1 + 0.51 / 255


@pytest.mark.parametrize("probabilities", [False, True])
def test_the_loss_is_the_margin_and_what_is_lost_of_the_picture(tmp_path: Path, probabilities: bool) -> None:
    write_loss_graph(tmp_path, Goal(0.8, 0.3, 0.5, probabilities))
    generator = np.random.default_rng(4)
    scores = generator.normal(0, 2, (40, 6)).astype(np.float32)
    if probabilities:
        scores = np.exp(scores) / np.exp(scores).sum(1, keepdims=True)
    label = generator.integers(0, 6, 40)
    correlation, contrast = (generator.uniform(0, 1, 40).astype(np.float32) for _each in range(2))
    feeds = {"scores": scores, "label": label, "correlation": correlation, "contrast": contrast}
    (losses,) = open_session(tmp_path / "loss.onnx").run(["losses"], feeds)
    logits = np.log(scores) if probabilities else scores
    for row in range(40):
        margin = logits[row, label[row]] - np.delete(logits[row], label[row]).max() + 0.5
        lost = max(0, 0.8 - correlation[row]) + max(0, 0.3 - contrast[row])
        assert losses[row] == pytest.approx(max(0, margin) + WEIGHT_OF_LIKENESS * lost, abs=1e-4)


def test_values_go_in_as_the_classifier_wants_them(lab: SimpleNamespace, tmp_path: Path) -> None:
    from seedtune.exporter.onnx_source.classifier import Classifier

    image = (np.arange(12, dtype=np.float32) * 20 / np.float32(255))[None]
    rows = image.reshape(1, 3, 2, 2)
    state = np.zeros((1, 32), np.float32)
    expected = {
        ("channels first", "float32", False): (rows - 0.5) / 0.25,
        ("channels last", "float32", False): (rows.transpose(0, 2, 3, 1) - 0.5) / 0.25,
        ("flat", "float32", False): (image - 0.5) / 0.25,
        ("channels last", "uint8", True): np.round(rows * 255).astype(np.uint8).transpose(0, 2, 3, 1),
        ("flat", "float32", True): (np.round(image * 255) - 0.5) / 0.25,
    }
    for number, ((order, kind, in_bytes), array) in enumerate(expected.items()):
        folder = tmp_path / str(number)
        folder.mkdir()
        classifier = Classifier(lab.classifier, "pixels", "scores", order, 3, 2, 2, kind, in_bytes)  # type: ignore[arg-type]
        normalisation = Normalisation() if kind == "uint8" else Normalisation((0.5,), (0.25,))
        write_map_graphs(folder, classifier, ToneMap(16, 3, 12), normalisation)
        (given,) = open_session(folder / "apply.onnx").run(["input"], {"image": image, "state": state})
        assert given.dtype == array.dtype
        np.testing.assert_allclose(given, array, atol=1e-5)
