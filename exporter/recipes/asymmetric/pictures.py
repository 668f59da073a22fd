"""The pictures of a recipe: a user's, or the digits that are always there; which are learned from and which are not."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from sklearn.datasets import load_digits

from seedtune.runtime.errors import SeedTuneError
from seedtune.runtime.files import sha256_of
from seedtune.runtime.scan.images import read_images

DIGITS = "digits"
# Of the pictures: train and validation; the rest is the test.
SHARES = (0.7, 0.1)
LEAST = 20


@dataclass(frozen=True, eq=False)
class Pictures:
    """Pictures of one size, all labelled.

    Attributes:
        name: for people.
        values: [N, channels, height, width] float32 in 0..1.
        labels: [N] int64, 0 to C - 1.
        classes: C.
        splits: ``train``, ``validation``, ``test``: places.
        hashes: file (or "arrays") -> SHA-256.
    """

    name: str
    values: npt.NDArray[np.float32]
    labels: npt.NDArray[np.int64]
    classes: int
    splits: dict[str, npt.NDArray[np.int64]]
    hashes: dict[str, str]


def read_pictures(source: str, seed: int) -> Pictures:
    """Reads ``source``: "digits", or what `runtime/scan/images.py` reads; splits are drawn by ``seed``.

    Raises:
        SeedTuneError: pictures that are none, without labels, of one class, with a class that no picture shows, or too
            few.
    """
    path = Path(source)
    if source == DIGITS and not path.exists():
        values, labels = load_digits(return_X_y=True)
        pictures = (values / 16).astype(np.float32).reshape(-1, 1, 8, 8)
        digest = hashlib.sha256(pictures.tobytes() + labels.tobytes()).hexdigest()
        return _made(DIGITS, pictures, labels.astype(np.int64), {"arrays": digest}, seed)
    images = read_images(path)
    shape = (len(images), images.channels, images.height, images.width)
    hashes = {path.name: sha256_of(path)} if path.is_file() else {}
    return _made(str(path), images.values.reshape(shape), images.labels, hashes, seed)


def _made(
    name: str, values: npt.NDArray[np.float32], labels: npt.NDArray[np.int64], hashes: dict[str, str], seed: int
) -> Pictures:
    if (labels < 0).any():
        raise _unusable(name, "a picture has no label", f"{int((labels < 0).sum())} of {len(labels)}", "a class each")
    classes = int(labels.max()) + 1
    shown = len(np.unique(labels))
    if shown < 2 or shown != classes:
        raise _unusable(
            name, "the classes have gaps, or are one", f"{shown} of {classes}", "classes 0 to C - 1, C >= 2"
        )
    if len(values) < LEAST:
        raise _unusable(name, "there are too few pictures", str(len(values)), f"at least {LEAST}")
    order = np.random.default_rng(seed).permutation(len(values))
    first, second = (round(sum(SHARES[:count]) * len(order)) for count in (1, 2))
    parts = zip(("train", "validation", "test"), np.split(order, [first, second]), strict=True)
    splits = {part: np.sort(places).astype(np.int64) for part, places in parts}
    return Pictures(name, np.ascontiguousarray(values), labels, classes, splits, hashes)


def _unusable(name: str, what: str, value: str, rule: str) -> SeedTuneError:
    return SeedTuneError(what, file=name, value=value, rule=rule, remedy="put the pictures right")
