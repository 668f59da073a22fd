"""`seedtune recipe graph-contrastive` as it is typed and as Python calls it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
from small_graphs import blocks, npz, planetoid
from typer.testing import CliRunner

import seedtune
from seedtune import SeedTuneError
from seedtune.events import RecipeFinished, RecipePrepared, RecipeStep
from seedtune.exporter.recipes.graph.evaluation import linear_evaluation, random_splits
from seedtune.runtime.cli.main import app

pytestmark = pytest.mark.traced
FEW: dict[str, Any] = {
    "epochs": 60,
    "hidden": 32,
    "dimensions": 16,
    "clusters": 6,
    "learning_rate": 5e-3,
    "negatives": 64,
}


def made(source: object, out: Path, **options: object) -> RecipeFinished:
    *_, last = seedtune.recipe("graph-contrastive", source, out=out, **(FEW | options))
    assert isinstance(last, RecipeFinished)
    return last


def test_the_folder_holds_what_its_readers_are_promised(tmp_path: Path) -> None:
    graph = npz(tmp_path / "graph.npz")
    events = list(seedtune.recipe("graph-contrastive", graph, out=tmp_path / "features", **FEW))
    assert isinstance(events[0], RecipePrepared)
    assert [type(event) for event in events[1:-1]] == [RecipeStep] * 60
    with np.load(tmp_path / "features" / "features.npz", allow_pickle=False) as arrays:
        found = {name: arrays[name] for name in arrays.files}
    assert found["features"].shape == (90, 16)
    assert found["features"].dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(found["features"], axis=1), 1, rtol=1e-5)
    for name in ("labels", "train", "validation", "test", "positive_offsets", "positives", "clusters"):
        assert found[name].dtype == np.int64
    np.testing.assert_array_equal(found["labels"], blocks()["labels"])
    together = np.sort(np.concatenate([found[name] for name in ("train", "validation", "test")]))
    np.testing.assert_array_equal(together, np.arange(90))
    assert found["positive_offsets"][-1] == len(found["positives"]) == 2 * len(blocks()["edges"])
    assert found["clusters"].shape == (90,)
    described = json.loads((tmp_path / "features" / "features.json").read_text())
    assert (described["recipe"], described["format_version"]) == ("graph-contrastive", 1)
    assert described["settings"]["epochs"] == 60
    assert described["data"]["sha256"].keys() == {"graph.npz"}
    assert described["versions"].keys() >= {"seedtune", "torch", "numpy"}
    session = onnxruntime.InferenceSession(str(tmp_path / "features" / "encoder.onnx"))
    (again,) = session.run(None, {name: blocks()[name] for name in ("features", "edges")})
    np.testing.assert_allclose(again, found["features"], atol=1e-5)


def test_what_is_learned_tells_classes_that_features_alone_do_not(tmp_path: Path) -> None:
    arrays = blocks(nodes=240)
    graph = npz(tmp_path / "graph.npz", **arrays)
    figures = made(graph, tmp_path / "features", dropped_edges=0.1, masked_features=0.0).figures
    plain = linear_evaluation(arrays["features"], arrays["labels"], random_splits(arrays["labels"], 0, (0.1, 0.1)))
    assert plain is not None
    assert figures["linear_trained"]["accuracy"] > plain["accuracy"] + 0.05
    assert figures["loss_end"] < figures["loss_start"]


def test_the_same_seed_makes_the_same_bits_and_another_seed_others(tmp_path: Path) -> None:
    graph = npz(tmp_path / "graph.npz")
    found = []
    for number, seed in enumerate((1, 1, 2)):
        made(graph, tmp_path / str(number), seed=seed, epochs=8)
        found.append((tmp_path / str(number) / "features.npz").read_bytes())
    assert found[0] == found[1] != found[2]


def test_propagated_features_need_no_encoder(tmp_path: Path) -> None:
    planetoid(tmp_path / "small")
    last = made(tmp_path / "small", tmp_path / "features", propagate_only=True, propagated_dimensions=8)
    assert set(last.files) == {"features.npz", "features.json"}
    with np.load(tmp_path / "features" / "features.npz") as arrays:
        assert arrays["features"].shape == (90, 8)
        np.testing.assert_array_equal(arrays["train"], np.arange(12))
        # Nobody says what the node that the index leaves out is.
        assert (arrays["labels"] == -1).sum() == 1
        assert (arrays["labels"][arrays["test"]] >= 0).all()


@pytest.mark.parametrize("options", [{"class_collision": "quantile"}, {"class_collision": "off", "imbalance": "off"}])
def test_each_repair_can_be_switched_off(options: dict[str, str], tmp_path: Path) -> None:
    graph = npz(tmp_path / "graph.npz", labels=None)
    last = made(graph, tmp_path / "features", epochs=3, **options)
    # Without labels there is nothing to measure, and nothing to be refused.
    assert last.figures["linear_trained"] is None


def test_the_command_tells_and_prints_what_it_made(tmp_path: Path) -> None:
    words = ["recipe", "graph-contrastive", "digits", "--out", str(tmp_path / "features"), "--epochs", "3", "--json"]
    done = CliRunner().invoke(app, words, env={"NO_COLOR": "1"})
    assert done.exit_code == 0, done.output
    line = json.loads(done.stdout.splitlines()[-1])
    assert line["features"] == str(tmp_path / "features")
    assert line["figures"]["linear_propagated"]["accuracy"] > 0.9
    assert line["files"]["encoder.onnx"] == (tmp_path / "features" / "encoder.onnx").stat().st_size
    assert "nodes 1,797" in done.stderr
    assert "linear trained: accuracy 0." in done.stderr


@pytest.mark.parametrize(
    ("options", "what"),
    [
        ({"epochs": 0}, "--epochs is out of range"),
        ({"temperature": 0.0}, "--temperature is out of range"),
        ({"colour": 3}, "no such setting"),
        ({"imbalance": "some"}, "--imbalance is out of range"),
    ],
)
def test_settings_that_cannot_be(options: dict[str, object], what: str, tmp_path: Path) -> None:
    with pytest.raises(SeedTuneError, match=what):
        made("digits", tmp_path / "features", **options)
    assert not (tmp_path / "features").exists()


def test_a_refusal_leaves_nothing_behind(tmp_path: Path) -> None:
    bad = npz(tmp_path / "bad.npz", labels=np.ones(90, int))
    with pytest.raises(SeedTuneError, match="labels are one class"):
        made(bad, tmp_path / "features")
    with pytest.raises(SeedTuneError, match="is no number"):
        made(npz(tmp_path / "graph.npz"), tmp_path / "features", temperature=1e-30, learning_rate=1.0)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["bad.npz", "graph.npz"]
    with pytest.raises(SeedTuneError, match="no such recipe"):
        list(seedtune.recipe("pancakes", "digits", out=tmp_path / "features"))  # type: ignore[arg-type]


def test_without_the_extra_it_is_named(tmp_path: Path) -> None:
    code = """
import sys
sys.modules["torch"] = None
import seedtune
try:
    seedtune.recipe("graph-contrastive", "digits", out="features")
except seedtune.SeedTuneError as error:
    print(error)
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "seedtune[export,recipes]" in done.stdout
    assert list(tmp_path.iterdir()) == []
