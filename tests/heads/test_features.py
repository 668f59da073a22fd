"""Features that are not right are refused by name, and nothing is left behind."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from heads_lab import digits, robust, saved

import seedtune
from seedtune.runtime.bundle.heads import FeatureHeads
from seedtune.runtime.bundle.reader import Bundle
from seedtune.runtime.heads.rows import open_rows

ROWS = 60
WIDE = np.zeros((ROWS, 64), np.float32)


def with_nan() -> np.ndarray:
    values = digits(ROWS)["features"].copy()
    values[7, 3] = np.nan
    return values


# What is wrong -> (changes, words of the message).
CONTRASTIVE: dict[str, tuple[dict[str, Any], str]] = {
    "no features": ({"features": None}, "no array features"),
    "a list of features": ({"features": np.zeros(ROWS)}, "one row of numbers for each row"),
    "features as text": ({"features": np.full((ROWS, 4), "a")}, "one row of numbers for each row"),
    "no rows": ({"features": WIDE[:0]}, "one row of numbers for each row"),
    "not a number": ({"features": with_nan()}, "not finite"),
    "beyond float32": ({"features": np.full((ROWS, 4), 1e300)}, "not finite"),
    "other labels than rows": ({"labels": np.zeros(ROWS - 1, int)}, "labels is no list of whole numbers"),
    "labels that are no integers": ({"labels": np.full(ROWS, 0.5)}, "labels is no list of whole numbers"),
    "a label below -1": ({"labels": np.arange(ROWS) % 3 - 2}, "labels has a number out of range"),
    "a label that cannot be": ({"labels": np.arange(ROWS) % 3 + 10**12}, "labels has a number out of range"),
    "one class only": ({"labels": np.zeros(ROWS, int)}, "one class"),
    "a class without a row": ({"labels": np.where(np.arange(ROWS) % 2, 0, 2)}, "leave a class out"),
    "one split of three": ({"train": np.arange(9)}, "no array validation"),
    "a place behind the end": (
        {"train": np.array([0, ROWS]), "validation": np.array([1]), "test": np.array([2])},
        "train has a number out of range",
    ),
    "a row twice": (
        {"train": np.array([3, 3]), "validation": np.array([1]), "test": np.array([2])},
        "stands there twice",
    ),
    "no row in a split": ({"train": np.arange(3), "validation": np.arange(0), "test": np.array([5])}, "are none"),
    "splits that overlap": (
        {"train": np.arange(9), "validation": np.array([12]), "test": np.array([8, 20])},
        "train and test have rows in common",
    ),
    "positives without offsets": ({"positives": np.arange(5)}, "no array positive_offsets"),
    "offsets that fall": (
        {"positives": np.arange(5), "positive_offsets": np.r_[0, 5, np.full(ROWS - 1, 4)]},
        "not those of the positives",
    ),
    "offsets of other rows": (
        {"positives": np.arange(5), "positive_offsets": np.array([0, 5])},
        "positive_offsets is no list",
    ),
    "a positive behind the end": (
        {"positives": np.full(5, ROWS), "positive_offsets": np.r_[0, np.full(ROWS, 5)]},
        "positives has a number out of range",
    ),
    "no positive at all": (
        {"positives": np.arange(0), "positive_offsets": np.zeros(ROWS + 1, int)},
        "not those of the positives",
    ),
    "a cluster below 0": ({"clusters": np.arange(ROWS) - 1}, "clusters has a number out of range"),
}
N = 240
HEADS: dict[str, tuple[dict[str, Any], str]] = {
    "no labels": ({"labels": None}, "no array labels"),
    "no label at all": ({"labels": np.full(N, -1)}, "no row has a label"),
    "a row of a split without a label": ({"labels": np.r_[-1, robust()["labels"][1:]]}, "has no label"),
    "no split": ({"train": None, "validation": None, "test": None}, "have no split"),
    "other rows": ({"z_non_robust": robust()["z_non_robust"][:-1]}, "z_non_robust has not one row"),
    "other twins": ({"z_robust_adversarial": robust()["z_robust_adversarial"][:-1]}, "z_robust_adversarial has not"),
    "twins of another width": (
        {"z_robust_adversarial": np.nan_to_num(robust()["z_robust_adversarial"])[:, :-1]},
        "have another width",
    ),
    "a twin that is not a number": ({"adversarial_targets": np.zeros(N, int)}, "not finite"),
    "a target that is no class": (
        {"adversarial_targets": np.full(N, 3)},
        "adversarial_targets has a number out of range",
    ),
    "a head of other features": ({"w_robust": robust()["w_non_robust"]}, "robust reads other features"),
    "a head of other classes": ({"w_joint": robust()["w_joint"][:-1]}, "w_joint has not one row"),
    "a bias that is none": ({"b_joint": np.array([0, np.nan, 1])}, "b_joint is no list of finite numbers"),
    "no trained head": ({"w_non_robust": None}, "no array w_non_robust"),
}


def refused(tmp_path: Path, objective: str, arrays: dict[str, Any], **options: Any) -> seedtune.SeedTuneError:
    source = saved(tmp_path / "features.npz", arrays)
    before = sorted(tmp_path.iterdir())
    with pytest.raises(seedtune.SeedTuneError) as caught:
        seedtune.export(source, objective=objective, out=tmp_path / "bundle", **options)
    assert sorted(tmp_path.iterdir()) == before
    assert caught.value.rule
    assert caught.value.remedy
    return caught.value


@pytest.mark.parametrize("wrong", CONTRASTIVE)
def test_features_that_are_not_right_are_refused_by_name(tmp_path: Path, wrong: str) -> None:
    changes, words = CONTRASTIVE[wrong]
    error = refused(tmp_path, "contrastive", digits(ROWS) | changes)
    assert words in error.what
    assert error.file == str(tmp_path / "features.npz")


@pytest.mark.parametrize("wrong", HEADS)
def test_features_of_heads_that_are_not_right_are_refused_by_name(tmp_path: Path, wrong: str) -> None:
    changes, words = HEADS[wrong]
    assert words in refused(tmp_path, "heads", robust() | changes).what


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"temperature": 0.001}, "temperature is out of range"),
        ({"negatives": 0}, "negatives is out of range"),
        ({"rank": 0, "form": "low-rank"}, "rank is out of range"),
        ({"form": "cubic"}, "cannot be"),
        ({"clusters": ROWS + 1}, "more clusters than rows"),
        ({"strorage": "int8"}, "cannot be"),
    ],
)
def test_an_option_that_cannot_be_is_refused_by_name(tmp_path: Path, options: dict[str, Any], words: str) -> None:
    assert words in refused(tmp_path, "contrastive", digits(ROWS), **options).what


def test_what_is_no_file_of_features_is_refused(tmp_path: Path) -> None:
    for name, content in (("torn.npz", b"PK\3\4nothing"), ("text.npz", b"text"), ("torn.parquet", b"PAR1")):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(seedtune.SeedTuneError, match="cannot be read"):
            seedtune.export(tmp_path / name, objective="contrastive", out=tmp_path / "bundle")
    whole = saved(tmp_path / "whole.npz", digits(ROWS)).read_bytes()
    for name, old, new in (("larger", b"(60, 64)", b"(90, 64)"), ("huge", b"(60, 64), }  ", b"(60000000064)")):
        assert old in whole
        (tmp_path / f"{name}.npz").write_bytes(whole.replace(old, new))
        with pytest.raises(seedtune.SeedTuneError, match="cannot be read"):
            seedtune.export(tmp_path / f"{name}.npz", objective="contrastive", out=tmp_path / "bundle")
    np.savez(tmp_path / "pickled.npz", features=np.array([{"a": 1}], object))
    with pytest.raises(seedtune.SeedTuneError, match="cannot be read"):
        seedtune.export(tmp_path / "pickled.npz", objective="contrastive", out=tmp_path / "bundle")
    with pytest.raises(seedtune.SeedTuneError, match="there are no features"):
        seedtune.export(tmp_path, objective="contrastive", out=tmp_path / "bundle")
    with pytest.raises(seedtune.SeedTuneError, match="no such objective"):
        seedtune.export(tmp_path, objective="margin", out=tmp_path / "bundle")
    with pytest.raises(seedtune.SeedTuneError, match="a task or for an objective"):
        seedtune.export(tmp_path, objective="heads", task="sentiment", out=tmp_path / "bundle")


def test_a_parquet_file_is_the_same_bundle_and_its_provenance_goes_along(tmp_path: Path) -> None:
    pyarrow = pytest.importorskip("pyarrow")
    from pyarrow import parquet

    arrays, splits = digits(ROWS), np.array(["train", "validation", "test"])[np.arange(ROWS) % 3]
    splits[:5] = "none"
    places = {name: np.flatnonzero(splits == name) for name in ("train", "validation", "test")}
    saved(tmp_path / "features.npz", arrays | places)
    table = {"features": list(arrays["features"]), "label": arrays["labels"].tolist(), "split": splits.tolist()}
    parquet.write_table(pyarrow.table(table), tmp_path / "features.parquet")
    told = {"recipe": "digits", "settings": {"divisor": 16}, "sha256": "ab"}
    (tmp_path / "features.json").write_text(json.dumps(told))
    hashes: list[dict[str, str]] = []
    for source in (tmp_path, tmp_path / "features.parquet"):
        out = tmp_path / f"bundle-{len(hashes)}"
        manifest = seedtune.export(source, objective="contrastive", out=out, negatives=20)
        assert isinstance(manifest.objective, FeatureHeads)
        assert Bundle.open(out).manifest.objective.provenance == told  # type: ignore[union-attr]
        assert open_rows(Bundle.open(out)).split("train").tolist() == places["train"].tolist()
        hashes.append({name: entry.sha256 for name, entry in manifest.files.items()})
    assert hashes[0] == hashes[1]
    (tmp_path / "features.json").write_text('{"a": NaN}')
    with pytest.raises(seedtune.SeedTuneError, match="what is said of the features"):
        seedtune.export(tmp_path, objective="contrastive", out=tmp_path / "bundle")


def test_equal_features_give_equal_bundles_to_the_byte(tmp_path: Path) -> None:
    for objective, arrays in (("contrastive", digits(ROWS)), ("heads", robust())):
        source = saved(tmp_path / f"{objective}.npz", arrays)
        bundles = [tmp_path / f"{objective}-{number}" for number in (1, 2)]
        for out in bundles:
            seedtune.export(source, objective=objective, out=out)
        names = sorted(path.name for path in bundles[0].iterdir())
        assert names == ["eval.onnx", "manifest.json", "probe.onnx", "rows.safetensors", "update.onnx"]
        for name in names:
            assert (bundles[0] / name).read_bytes() == (bundles[1] / name).read_bytes()
