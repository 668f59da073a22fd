"""Which rows a step of contrastive learning sees: of the seed and the step alone, each as often as it should be."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from heads_lab import digits, saved

import seedtune
from seedtune.runtime.batches.sampler import Sampler, rows_of
from seedtune.runtime.batches.types import CoupledFeeder
from seedtune.runtime.bundle.heads import Contrastive
from seedtune.runtime.bundle.reader import Bundle
from seedtune.runtime.heads.coupled import CoupledRows
from seedtune.runtime.heads.rows import HeadRows, open_rows
from seedtune.runtime.noise import derive_seed, noise_words


def rows_and_feeder(path: Path) -> tuple[HeadRows, CoupledRows]:
    rows = open_rows(Bundle.open(path))
    assert isinstance(rows.objective.loss, Contrastive)
    return rows, CoupledRows(rows, rows.objective.loss)


def lopsided(folder: Path, **options: Any) -> tuple[HeadRows, CoupledRows]:
    """100 rows: clusters of 90, 8 and 2; the positives of row i are i + 1 and i + 2, and the last ten have none."""
    positives = np.concatenate([[row + 1, row + 2] for row in range(90)])
    source = saved(
        folder / "features.npz",
        digits(100),
        positives=positives,
        positive_offsets=np.minimum(np.arange(101), 90) * 2,
        clusters=np.repeat([5, 0, 3], [90, 8, 2]),
    )
    seedtune.export(source, objective="contrastive", out=folder / "bundle", negatives=30, **options)
    return rows_and_feeder(folder / "bundle")


def test_anchors_are_a_samplers_and_every_anchor_has_a_positive_of_its_own(tmp_path: Path) -> None:
    _, feeder = lopsided(tmp_path)
    assert isinstance(feeder, CoupledFeeder)
    assert len(feeder) == 90
    group = rows_of(feeder, 7, 16)
    seen = [np.split(group(step), [16, 32]) for step in range(40)]
    for step, (anchors, positives, negatives) in enumerate(seen):
        np.testing.assert_array_equal(anchors, Sampler(7, 90, 16).indices(step))
        assert set((positives - anchors).tolist()) <= {1, 2}
        assert len(negatives) == 30
    # Both positives are drawn, about as often.
    steps = np.concatenate([positives - anchors for anchors, positives, _ in seen])
    assert 0.4 < (steps == 1).mean() < 0.6
    np.testing.assert_array_equal(rows_of(feeder, 7, 16)(11), np.concatenate(seen[11]))
    assert (rows_of(feeder, 8, 16)(11) != np.concatenate(seen[11])).any()


def test_positives_and_negatives_are_those_of_the_noise_words(tmp_path: Path) -> None:
    rows, feeder = lopsided(tmp_path)
    anchors = np.array([3, 95, 20])
    words = noise_words(derive_seed(6, "positive", 2), 3)
    expected = [4 + int(words[0]) % 2, 95, 21 + int(words[2]) % 2]
    assert feeder.positives_of(anchors, 6, 2).tolist() == expected
    words = noise_words(derive_seed(6, "negative", 2), 60)
    members = {0: range(90, 98), 1: range(98, 100), 2: range(90)}
    sizes = {name: len(each) for name, each in members.items()}
    chosen = [members[int(c) % 3][int(m) % sizes[int(c) % 3]] for c, m in zip(words[::2], words[1::2], strict=True)]
    assert feeder.negatives(6, 2).tolist() == chosen
    assert len(rows) == 100


def test_every_cluster_is_drawn_as_often_and_every_row_without_the_fix(tmp_path: Path) -> None:
    shares = []
    for fix in (True, False):
        folder = tmp_path / str(fix)
        folder.mkdir()
        _, feeder = lopsided(folder, imbalance_fix=fix)
        drawn = np.concatenate([feeder.negatives(1, step) for step in range(200)])
        shares.append([(drawn < 90).mean(), ((drawn >= 90) & (drawn < 98)).mean(), (drawn >= 98).mean()])
    np.testing.assert_allclose(shares[0], [1 / 3, 1 / 3, 1 / 3], atol=0.03)
    np.testing.assert_allclose(shares[1], [0.9, 0.08, 0.02], atol=0.03)


@pytest.mark.parametrize("limit", [1, 10, 10_000])
def test_a_step_is_one_batch_with_each_row_once_whatever_the_limit(
    heads_bundle: Callable[..., Path], limit: int
) -> None:
    rows, feeder = rows_and_feeder(heads_bundle("contrastive"))
    group = feeder.group(3, 4, 100)
    (batch,) = feeder.batches(group, limit)
    assert batch.work.computed == len(np.unique(group)) < len(group)
    assert batch.index.tolist() == list(range(100))
    places = np.concatenate([batch.arrays[name] for name in ("anchor", "positive", "negative")])
    np.testing.assert_array_equal(batch.arrays["features"][places], rows.arrays["features"][group])


def test_neighbours_are_the_rows_of_largest_cosine(heads_bundle: Callable[..., Path]) -> None:
    rows, _ = rows_and_feeder(heads_bundle("contrastive"))
    features = digits()["features"].astype(np.float64)
    unit = features / np.linalg.norm(features, axis=1, keepdims=True)
    cosines = unit @ unit.T
    np.fill_diagonal(cosines, -2)
    expected = np.sort(cosines, axis=1)[:, :-11:-1]
    offsets, found = rows.arrays["positive_offsets"], rows.arrays["positives"]
    assert np.diff(offsets).tolist() == [10] * 600
    chosen = np.take_along_axis(cosines, found.reshape(600, 10), 1)
    np.testing.assert_allclose(chosen, expected, atol=1e-6)


def test_clusters_and_splits_have_every_row_once(heads_bundle: Callable[..., Path]) -> None:
    rows, _ = rows_and_feeder(heads_bundle("contrastive"))
    assert sorted(rows.arrays["cluster_members"].tolist()) == list(range(600))
    parts = [rows.split(name) for name in ("train", "validation", "test")]
    assert sorted(np.concatenate(parts).tolist()) == list(range(600))
    # Of each label its share.
    for part, share in zip(parts, (0.2, 0.2, 0.6), strict=True):
        counts = np.bincount(rows.labels[part]) / np.bincount(rows.labels)
        np.testing.assert_allclose(counts, share, atol=0.02)
