"""`seedtune recipe asymmetric` as it is typed and as Python calls it, and a scan of what it makes."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
from sklearn.datasets import load_digits
from typer.testing import CliRunner

import seedtune
from seedtune import SeedTuneError
from seedtune.events import RecipeFinished, RecipePrepared, ScanFinished
from seedtune.runtime.cli.main import app

pytestmark = pytest.mark.traced
FEW: dict[str, Any] = {"epochs": 6, "attack_steps": 3, "learning_rate": 5e-3, "bound": 0.2}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A CLASSIFIER folder of scikit-learn's digits."""
    out = tmp_path_factory.mktemp("asymmetric") / "classifier"
    events = list(seedtune.recipe("asymmetric", "digits", out=out, **FEW))
    assert isinstance(events[0], RecipePrepared)
    assert isinstance(events[-1], RecipeFinished)
    return out


def arrays_of(folder: Path) -> dict[str, np.ndarray]:
    with np.load(folder / "features.npz", allow_pickle=False) as arrays:
        return {name: arrays[name] for name in arrays.files}


def test_the_folder_holds_what_its_readers_are_promised(made: Path) -> None:
    found = arrays_of(made)
    shapes = {
        "features": (1797, 192), "labels": (1797,), "adversarial_targets": (1797,), "z_robust": (1797, 128),
        "z_non_robust": (1797, 64), "z_robust_adversarial": (1797, 128), "z_non_robust_adversarial": (1797, 64),
        "w_robust": (10, 128), "b_robust": (10,), "w_non_robust": (10, 64), "b_non_robust": (10,),
        "w_joint": (10, 192), "b_joint": (10,),
    }  # fmt: skip
    for name, shape in shapes.items():
        assert found[name].shape == shape, name
        assert found[name].dtype == (np.int64 if name in ("labels", "adversarial_targets") else np.float32)
    together = np.sort(np.concatenate([found[name] for name in ("train", "validation", "test")]))
    np.testing.assert_array_equal(together, np.arange(1797))
    np.testing.assert_array_equal(found["features"], np.concatenate([found["z_robust"], found["z_non_robust"]], 1))
    assert (found["adversarial_targets"] != found["labels"]).all()


def test_the_files_scores_are_those_of_the_features_and_the_heads(made: Path) -> None:
    found = arrays_of(made)
    images, _labels = load_digits(return_X_y=True)
    session = onnxruntime.InferenceSession(str(made / "classifier.onnx"))
    assert [output.name for output in session.get_outputs()] == [
        "logits", "logits_robust", "logits_non_robust", "z_r", "z_n",
    ]  # fmt: skip
    pictures = (images / 16).astype(np.float32).reshape(-1, 1, 8, 8)
    logits, robust, non_robust, z_r, z_n = session.run(None, {"pixels": pictures})
    np.testing.assert_allclose(z_r, found["z_robust"], atol=1e-4)
    np.testing.assert_allclose(z_n, found["z_non_robust"], atol=1e-4)
    both = np.concatenate([z_r, z_n], axis=1)
    for scores, rows, head in ((logits, both, "joint"), (robust, z_r, "robust"), (non_robust, z_n, "non_robust")):
        np.testing.assert_allclose(scores, rows @ found[f"w_{head}"].T + found[f"b_{head}"], atol=1e-4)
    described = json.loads((made / "features.json").read_text())
    (figures,) = described["figures"].values()
    test = found["test"]
    assert figures["joint_clean"] == pytest.approx((logits[test].argmax(1) == found["labels"][test]).mean())
    assert figures["joint_clean"] > 0.85
    # The non-robust features say what the attack aimed at, far more than by chance and than the robust ones.
    aimed = {}
    for head in ("robust", "non_robust"):
        moved = found[f"z_{head}_adversarial"] @ found[f"w_{head}"].T + found[f"b_{head}"]
        aimed[head] = (moved.argmax(1) == found["adversarial_targets"]).mean()
    assert aimed["non_robust"] > max(0.3, 1.5 * aimed["robust"])


def test_the_same_seed_makes_the_same_bits(tmp_path: Path) -> None:
    folders = [tmp_path / name for name in ("first", "second")]
    for folder in folders:
        list(seedtune.recipe("asymmetric", "digits", out=folder, **FEW | {"epochs": 1, "attack_steps": 1}))
    first, second = ((folder / "features.npz").read_bytes() for folder in folders)
    assert first == second


def test_a_scan_takes_the_joint_scores_or_those_that_it_is_told(made: Path, tmp_path: Path) -> None:
    images, labels = load_digits(return_X_y=True)
    pictures = np.round(images[:80] * (255 / 16)).astype(np.uint8).reshape(-1, 8, 8)
    np.savez(tmp_path / "some.npz", images=pictures, labels=labels[:80])
    session = onnxruntime.InferenceSession(str(made / "classifier.onnx"))
    scores = session.run(None, {"pixels": (pictures[:, None] / 255).astype(np.float32)})
    for place, name in ((0, None), (1, "logits_robust"), (2, "logits_non_robust")):
        *_, last = seedtune.scan(
            made / "classifier.onnx", images=tmp_path / "some.npz", out=tmp_path / str(name), queries=4, scores=name
        )
        assert isinstance(last, ScanFinished)
        assert last.result.images == (scores[place].argmax(1) == labels[:80]).sum()
        described = json.loads((tmp_path / str(name) / "scan.json").read_text())
        assert described["classifier"]["score_output"] == (name or "logits")
    with pytest.raises(SeedTuneError, match="has no output z"):
        list(seedtune.scan(made / "classifier.onnx", images=tmp_path / "some.npz", out=tmp_path / "z", scores="z"))


def test_the_command_tells_and_prints_what_it_made(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    np.savez(tmp_path / "noise.npz", images=random.integers(0, 256, (60, 9, 8, 3), np.uint8), labels=np.arange(60) % 3)
    words = ["recipe", "asymmetric", str(tmp_path / "noise.npz"), "--out", str(tmp_path / "made")]
    words += ["--epochs", "1", "--attack-steps", "1", "--batch-size", "20", "--shift", "1", "--json"]
    done = CliRunner().invoke(app, words, env={"NO_COLOR": "1"})
    assert done.exit_code == 0, done.output
    line = json.loads(done.stdout.splitlines()[-1])
    assert line["files"].keys() == {"classifier.onnx", "features.json", "features.npz"}
    assert "pictures 60, classes 3" in done.stderr
    assert "joint_clean" in done.stderr


BAD: dict[str, Callable[[], dict[str, Any]]] = {
    "a picture has no label": lambda: {"labels": np.arange(40) % 3 - 1},
    "the classes have gaps": lambda: {"labels": np.arange(40) % 2 * 2},
    "or are one": lambda: {"labels": np.zeros(40, int)},
    "too few pictures": lambda: {"images": np.zeros((10, 8, 8), np.uint8), "labels": np.arange(10) % 2},
    "too small for the net": lambda: {"images": np.zeros((40, 3, 8), np.uint8)},
    "has no labels": lambda: {"labels": None},
    "values that no picture has": lambda: {"images": np.full((40, 8, 8), 7.0)},
}


@pytest.mark.parametrize("what", BAD)
def test_pictures_that_cannot_be_learned_from(what: str, tmp_path: Path) -> None:
    arrays: dict[str, Any] = {"images": np.zeros((40, 8, 8), np.uint8), "labels": np.arange(40) % 2} | BAD[what]()
    np.savez(tmp_path / "bad.npz", **{name: array for name, array in arrays.items() if array is not None})
    with pytest.raises(SeedTuneError, match=what):
        list(seedtune.recipe("asymmetric", tmp_path / "bad.npz", out=tmp_path / "made", **FEW))
    assert [path.name for path in tmp_path.iterdir()] == ["bad.npz"]


@pytest.mark.parametrize("option", [{"epochs": 0}, {"bound": 1.5}, {"attack": "all"}, {"temperature": 1.0}])
def test_settings_that_cannot_be(option: dict[str, Any], tmp_path: Path) -> None:
    with pytest.raises(SeedTuneError, match=r"out of range|no such setting"):
        list(seedtune.recipe("asymmetric", "digits", out=tmp_path / "made", **option))
    assert not list(tmp_path.iterdir())
