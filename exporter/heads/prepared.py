"""From features to the rows of a bundle: what is not given is worked out here, once, and kept."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from seedtune.exporter.heads.features import SPLITS, Features
from seedtune.runtime.errors import SeedTuneError
from seedtune.runtime.extras import import_extra
from seedtune.runtime.noise import derive_seed, permutation

# Of the labelled rows, where no split is given: learnt from, and chosen by; the others test. A guess.
TRAIN_SHARE, VALIDATION_SHARE = 0.2, 0.2
CLUSTERS_WITHOUT_LABELS = 10
MOST_ROWS = 2**31 - 1
NEIGHBOUR_ROWS_AT_ONCE = 1024


@dataclass(frozen=True)
class Labelled:
    """Rows with their labels: ``labels`` [N] with -1 for none, C ``classes`` (0 without any), and their splits."""

    labels: np.ndarray
    classes: int
    splits: dict[str, np.ndarray]


def labelled(features: Features, rows: int, seed: int, *, required: bool) -> Labelled:
    """The labels and splits of ``rows`` rows.

    Args:
        features: as read.
        rows: N.
        seed: draws a split where none is given, label by label.
        required: whether labels and splits must be given.

    Raises:
        SeedTuneError: they are missing, out of range, or all the same; or a split has a row without a label.
    """
    given = "labels" in features.arrays or required
    labels = features.integers("labels", rows, least=-1, end=rows) if given else np.full(rows, -1, np.int64)
    counts = np.bincount(labels[labels >= 0])
    if given and len(counts) == 0 and required:
        raise features.refusal("no row has a label", "-1 for each", "labels of two classes or more")
    if len(counts) and (counts > 0).sum() < 2:
        raise features.refusal("all labels are of one class", f"class {labels.max()}", "labels of two classes or more")
    if (counts == 0).any():
        raise features.refusal(
            "the labels leave a class out",
            f"no row of class {int(np.flatnonzero(counts == 0)[0])} of {len(counts)}",
            "classes 0 to C - 1, each with a row",
        )
    splits = features.splits(rows)
    if splits is None:
        if required:
            raise features.refusal("the features have no split", ", ".join(features.arrays), ", ".join(SPLITS))
        splits = _drawn(labels, seed) if len(counts) else {name: np.empty(0, np.int64) for name in SPLITS}
    if required:
        for name, places in splits.items():
            bare = places[labels[places] < 0]
            if len(bare):
                raise features.refusal(f"a row of {name} has no label", f"row {bare[0]}", "a label of every row")
    return Labelled(labels, len(counts), splits)


def _drawn(labels: np.ndarray, seed: int) -> dict[str, np.ndarray]:
    """A share of each label's rows for each split, in an order drawn from ``seed``."""
    order = permutation(derive_seed(seed, "split"), len(labels))
    parts: dict[str, list[np.ndarray]] = {name: [] for name in SPLITS}
    for label in range(int(labels.max()) + 1):
        members = order[labels[order] == label]
        borders = np.rint(np.cumsum([TRAIN_SHARE, VALIDATION_SHARE]) * len(members)).astype(int)
        for name, part in zip(SPLITS, np.split(members, borders), strict=True):
            parts[name].append(part)
    return {name: np.sort(np.concatenate(found)) for name, found in parts.items()}


def positives(
    features: Features, values: np.ndarray, neighbours: int, notice: Callable[[str], None]
) -> tuple[np.ndarray, np.ndarray]:
    """Offsets [N + 1] and rows [M] of every row's positives: those given, or the nearest ``neighbours`` by cosine.

    Raises:
        SeedTuneError: the offsets do not fit, or no row has a positive.
    """
    if "positives" not in features.arrays and "positive_offsets" not in features.arrays:
        count = min(neighbours, len(values) - 1)
        if count < 1:
            raise features.refusal("a row alone has no neighbours", len(values), "two rows or more")
        notice(f"no positives are given: the {count} nearest rows of each by cosine are taken")
        return np.arange(0, count * len(values) + 1, count, dtype=np.int64), _nearest(values, count).reshape(-1)
    found = features.integers("positives", end=len(values))
    offsets = features.integers("positive_offsets", len(values) + 1)
    if offsets[0] != 0 or offsets[-1] != len(found) or (np.diff(offsets) < 0).any() or not len(found):
        raise features.refusal(
            "the offsets are not those of the positives",
            f"{offsets[0]} to {offsets[-1]}, {len(found)} positives",
            "0, rising, to the number of positives, of which there is one or more",
        )
    return offsets, found


def _nearest(values: np.ndarray, count: int) -> np.ndarray:
    """The rows with the largest cosines with each row, without itself, [N, count], nearest first."""
    unit = unit_rows(values)
    found = np.empty((len(unit), count), np.int64)
    for first in range(0, len(unit), NEIGHBOUR_ROWS_AT_ONCE):
        cosines = unit[first : first + NEIGHBOUR_ROWS_AT_ONCE] @ unit.T
        rows = np.arange(len(cosines))
        cosines[rows, first + rows] = -np.inf
        chosen = np.argpartition(-cosines, count - 1, axis=1)[:, :count]
        order = np.argsort(-np.take_along_axis(cosines, chosen, 1), axis=1, kind="stable")
        found[first : first + len(cosines)] = np.take_along_axis(chosen, order, 1)
    return found


def clusters(
    features: Features, values: np.ndarray, count: int | None, classes: int, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """Offsets [C + 1] and rows [N] of the clusters: those given, or of k-means over the rows at unit length.

    Args:
        features: as read.
        values: [N, d].
        count: of k-means; None for as many as there are classes, or a constant without labels.
        classes: 0 for no labels.
        seed: of k-means.

    Raises:
        SeedTuneError: scikit-learn is not installed, or there are more clusters than rows.
    """
    if "clusters" in features.arrays:
        found = features.integers("clusters", len(values))
    else:
        wanted = count or classes or min(CLUSTERS_WITHOUT_LABELS, len(values))
        if wanted > len(values):
            raise SeedTuneError(
                "there are more clusters than rows",
                value=wanted,
                rule=f"1 to {len(values)}",
                remedy="choose fewer --clusters",
            )
        means = import_extra("sklearn.cluster", "heads", "k-means").KMeans
        found = means(wanted, n_init=10, random_state=seed).fit_predict(unit_rows(values)).astype(np.int64)
    # Numbers that no row has would be clusters without a member.
    _, found = np.unique(found, return_inverse=True)
    order = np.argsort(found, kind="stable").astype(np.int64)
    return np.concatenate([[0], np.cumsum(np.bincount(found))]).astype(np.int64), order


def unit_rows(values: np.ndarray) -> np.ndarray:
    """``values`` [N, d] with rows of unit length; a row of zeros stays one."""
    norm = np.linalg.norm(values, axis=1, keepdims=True)
    result: np.ndarray = values / np.maximum(norm, 1e-12)
    return result
