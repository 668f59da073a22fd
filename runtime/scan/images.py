"""Pictures and what they show: from a folder of image files or from an .npz, as values in 0..1 with channels first."""

from __future__ import annotations

import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from seedtune.runtime.errors import SeedTuneError

SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".gif", ".webp", ".pgm", ".ppm")
# Of one array in an .npz: beyond that somebody wants to fill the memory.
MOST_BYTES = 4 << 30


@dataclass(frozen=True, eq=False)
class Images:
    """Pictures of one size.

    Attributes:
        values: [N, C H W] float32 in 0..1, each a whole 255th.
        labels: [N] int64 classes; -1 where nobody says.
        names: of each: its file, or its place.
        height: H.
        width: W.
        channels: C.
    """

    values: npt.NDArray[np.float32]
    labels: npt.NDArray[np.int64]
    names: tuple[str, ...]
    height: int
    width: int
    channels: int

    def __len__(self) -> int:
        """N."""
        return len(self.names)

    def chosen(self, places: Sequence[int] | npt.NDArray[np.int64]) -> Images:
        """Those at ``places``."""
        index = np.asarray(places, np.int64)
        names = tuple(self.names[place] for place in index)
        return Images(self.values[index], self.labels[index], names, self.height, self.width, self.channels)


def in_bytes(values: npt.NDArray[np.float32]) -> npt.NDArray[np.uint8]:
    """Whole 255ths as bytes."""
    return np.round(values * np.float32(255)).astype(np.uint8)


def of_bytes(pictures: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
    """Bytes as values in 0..1."""
    return pictures.astype(np.float32) / np.float32(255)


def save_pictures(path: Path, originals: Images, pictures: npt.NDArray[np.uint8], **more: Any) -> None:
    """Writes an .npz: ``images`` and ``originals`` ([F, H, W, C] bytes), ``labels``, and ``more``.

    Args:
        path: of the file.
        originals: F of them.
        pictures: [F, C H W], what was made of them.
        more: by name, [F].
    """
    shape = (len(originals), originals.channels, originals.height, originals.width)

    def turned(values: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
        return values.reshape(shape).transpose(0, 2, 3, 1)

    np.savez_compressed(
        path, images=turned(pictures), originals=turned(in_bytes(originals.values)), labels=originals.labels, **more
    )


def read_images(path: Path, first: int | None = None) -> Images:
    """Reads ``path``.

    Args:
        path: an .npz with ``images`` ([N, H, W] or [N, H, W, C], uint8, or float in 0..1) and ``labels`` [N]; or a
            folder of image files, each in a folder that is named by its class's number, or straight in it.
        first: at most so many; None for all.

    Raises:
        SeedTuneError: no such thing, another size or type, a file that is no image, or labels that do not fit.
    """
    if path.is_dir():
        return _from_folder(path, first)
    if path.suffix == ".npz" and path.is_file():
        return _from_arrays(path, first)
    raise SeedTuneError(
        "there are no images here", file=path, rule="a folder of image files, or an .npz", remedy="check the path"
    )


def _from_arrays(path: Path, first: int | None) -> Images:
    try:
        # Never with pickled objects: they are programs.
        with np.load(path, allow_pickle=False) as opened:
            missing = {"images", "labels"} - set(opened.files)
            if missing:
                raise _unusable(path, f"has no {' and no '.join(sorted(missing))}", ", ".join(opened.files))
            _require_small(path)
            images, labels = opened["images"][:first], opened["labels"][:first]
    except (OSError, ValueError, zipfile.BadZipFile, EOFError) as error:
        raise _unusable(path, "is no .npz of plain arrays", str(error)[:200]) from error
    if images.ndim == 3:
        images = images[..., None]
    if images.ndim != 4 or labels.shape != images.shape[:1] or not np.issubdtype(labels.dtype, np.integer):
        raise _unusable(
            path, "has arrays of other shapes", f"images {images.shape}, labels {labels.shape} {labels.dtype}"
        )
    names = tuple(str(place) for place in range(len(images)))
    return _made(path, images, labels.astype(np.int64), names)


def _require_small(path: Path) -> None:
    with zipfile.ZipFile(path) as archive:
        for entry in archive.infolist():
            if entry.file_size > MOST_BYTES:
                raise _unusable(path, "holds too much", f"{entry.filename}: {entry.file_size:,} bytes")


def _from_folder(path: Path, first: int | None) -> Images:
    try:
        from PIL import Image, UnidentifiedImageError
    except ModuleNotFoundError as error:
        raise SeedTuneError(
            "image files need a package that this installation does not have",
            value="pillow",
            remedy='pip install "seedtune[scan]", or give an .npz',
        ) from error
    files = sorted(file for file in path.rglob("*") if file.is_file() and not file.name.startswith("."))
    others = [file for file in files if file.suffix.lower() not in SUFFIXES]
    if others:
        raise _unusable(others[0], "is no image file", others[0].suffix or "no suffix")
    arrays, labels = [], []
    for file in files[:first]:
        try:
            with Image.open(file) as opened:
                grey = opened.mode in ("1", "L", "I", "I;16", "F")
                arrays.append(np.asarray(opened.convert("L" if grey else "RGB")))
        except (UnidentifiedImageError, OSError, ValueError, Image.DecompressionBombError) as error:
            raise _unusable(file, "cannot be read as an image", str(error)[:200]) from error
        label = file.parent.name
        labels.append(int(label) if file.parent != path and label.isdecimal() else -1)
        if arrays[-1].shape != arrays[0].shape:
            raise _unusable(file, "has another size than the images before it", str(arrays[-1].shape))
    if not arrays:
        raise _unusable(path, "has no image files", "an empty folder")
    images = np.stack(arrays)
    names = tuple(str(file.relative_to(path)) for file in files[:first])
    return _made(path, images if images.ndim == 4 else images[..., None], np.array(labels, np.int64), names)


def _made(path: Path, images: npt.NDArray[np.generic], labels: npt.NDArray[np.int64], names: tuple[str, ...]) -> Images:
    """Of images [N, H, W, C]."""
    count, height, width, channels = images.shape
    if not count or not height or not width:
        raise _unusable(path, "has no images", str(images.shape))
    if images.dtype != np.uint8:
        if not np.issubdtype(images.dtype, np.floating):
            raise _unusable(path, "has images of another type", f"{images.dtype}: uint8, or floats in 0..1")
        if not np.isfinite(images).all() or images.min() < 0 or images.max() > 1:
            raise _unusable(path, "has values that no picture has", "floats in 0..1")
        images = np.round(images.astype(np.float32) * 255).astype(np.uint8)
    if labels.min() < -1:
        raise _unusable(path, "has a class below 0", str(labels.min()))
    values = images.transpose(0, 3, 1, 2).reshape(count, -1).astype(np.float32) / np.float32(255)
    return Images(values, labels, names, height, width, channels)


def _unusable(path: Path, why: str, value: str) -> SeedTuneError:
    return SeedTuneError(
        f"{path.name} {why}",
        file=path,
        value=value,
        rule="pictures of one size; in an .npz `images` and `labels`",
        remedy="take it out, or put it right",
    )
