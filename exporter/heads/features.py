"""FEATURES: arrays about rows, as docs/reference/features.md lists them, read from a file and checked.

An .npz file, a folder that holds ``features.npz``, or a Parquet file with a row a line (contrastive only). A JSON file
``features.json`` beside it says where they are from, and goes into the manifest as it is.
"""

from __future__ import annotations

import json
import math
import tokenize
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from seedtune.runtime.errors import SeedTuneError
from seedtune.runtime.extras import import_extra

FEATURES, PROVENANCE = "features.npz", "features.json"
MAX_PROVENANCE_BYTES = 1 << 20
SPLITS = ("train", "validation", "test")
# Of numpy's own files, by version.
HEADERS = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}
# What zipfile and numpy end with where a file is none of theirs.
UNREADABLE = (
    OSError,
    ValueError,
    EOFError,
    LookupError,
    RuntimeError,
    SyntaxError,
    tokenize.TokenError,
    zipfile.BadZipFile,
    zlib.error,
)
SEE = "the arrays that docs/reference/features.md lists"


@dataclass(frozen=True)
class Features:
    """What was read: the file, name -> array, and what the maker says of them."""

    path: Path
    arrays: dict[str, np.ndarray]
    provenance: dict[str, Any]

    def refusal(self, what: str, value: object, rule: str, remedy: str = "make the features again") -> SeedTuneError:
        """An error about the file."""
        return SeedTuneError(what, file=self.path, value=value, rule=rule, remedy=remedy)

    def matrix(self, name: str, rows: int | None = None, unused: np.ndarray | None = None) -> np.ndarray:
        """The array ``name``, [N, width] float32 and finite.

        Args:
            name: of the array.
            rows: N, where it is known.
            unused: [N], rows that nobody reads and that become zero.

        Raises:
            SeedTuneError: it is missing, or not such an array.
        """
        found = self._array(name)
        shaped = found.ndim == 2 and found.size and found.dtype.kind in "fiu"
        if not shaped or (rows is not None and len(found) != rows):
            raise self.refusal(
                f"the array {name} has not one row of numbers for each row",
                f"{found.dtype} {list(found.shape)}",
                f"numbers [{'N' if rows is None else rows}, width]",
            )
        with np.errstate(over="ignore"):
            values = np.ascontiguousarray(found, np.float32)
        if unused is not None:
            values = np.where(unused[:, None], np.float32(0), values)
        # A number may be finite where it is read, and too large for float32.
        broken = np.flatnonzero(~np.isfinite(values).all(axis=1))
        if len(broken):
            raise self.refusal(
                f"the array {name} has numbers that are not finite",
                f"row {broken[0]}, and {len(broken) - 1} others",
                "finite numbers that a float32 can hold",
            )
        return values

    def vector(self, name: str, size: int) -> np.ndarray:
        """The array ``name``, [size] float32 and finite.

        Raises:
            SeedTuneError: it is missing, or not such an array.
        """
        found = self._array(name)
        if found.shape != (size,) or found.dtype.kind not in "fiu" or not np.isfinite(found).all():
            raise self.refusal(
                f"the array {name} is no list of finite numbers of its size",
                f"{found.dtype} {list(found.shape)}",
                f"numbers [{size}]",
            )
        return found.astype(np.float32)

    def integers(self, name: str, size: int | None = None, least: int = 0, end: int | None = None) -> np.ndarray:
        """The array ``name``, [size] int64 of ``least`` to ``end`` - 1; None for any.

        Raises:
            SeedTuneError: it is missing, or not such an array.
        """
        found = self._array(name)
        whole = found.dtype.kind in "iu" or (found.dtype.kind == "b" and size is None)
        if found.ndim != 1 or not whole or (size is not None and len(found) != size):
            raise self.refusal(
                f"the array {name} is no list of whole numbers of its size",
                f"{found.dtype} {list(found.shape)}",
                f"integers [{'any' if size is None else size}]",
            )
        values = found.astype(np.int64)
        if len(values) and (values.min() < least or (end is not None and values.max() >= end)):
            outside = (values < least) | (values >= (np.iinfo(np.int64).max if end is None else end))
            place = int(np.flatnonzero(outside)[0])
            most = "" if end is None else f" to {end - 1}"
            raise self.refusal(
                f"the array {name} has a number out of range", f"{values[place]} at place {place}", f"{least}{most}"
            )
        return values

    def splits(self, rows: int) -> dict[str, np.ndarray] | None:
        """Name -> places of ``train``, ``validation`` and ``test``, rising; None where no split is given.

        Raises:
            SeedTuneError: one is missing or empty, a place stands twice, or in two of them.
        """
        given = [name for name in SPLITS if name in self.arrays]
        if not given:
            return None
        found = {name: np.sort(self.integers(name, end=rows)) for name in SPLITS}
        for name, places in found.items():
            if not len(places) or (np.diff(places) == 0).any():
                twice = places[:-1][np.diff(places) == 0]
                raise self.refusal(
                    f"the rows of {name} are none, or one stands there twice",
                    f"row {twice[0]}" if len(twice) else "no row",
                    "one row or more, each once",
                )
        for first, second in (("train", "validation"), ("train", "test"), ("validation", "test")):
            both = np.intersect1d(found[first], found[second])
            if len(both):
                raise self.refusal(
                    f"{first} and {second} have rows in common",
                    f"row {both[0]}, and {len(both) - 1} others",
                    "a row is in one split at most",
                )
        return found

    def _array(self, name: str) -> np.ndarray:
        if name not in self.arrays:
            raise self.refusal(f"the features have no array {name}", ", ".join(sorted(self.arrays)), SEE)
        return self.arrays[name]


def read_features(source: Path) -> Features:
    """Reads the file or folder ``source``; its arrays are checked when they are asked for.

    Raises:
        SeedTuneError: it is not there, no such file, or damaged.
    """
    path = source / FEATURES if source.is_dir() else source
    if not path.is_file():
        raise SeedTuneError(
            "there are no features",
            file=path,
            rule=f"an .npz or .parquet file, or a folder with {FEATURES}",
            remedy="check the path, or make the features first",
        )
    arrays = _read_parquet(path) if path.suffix == ".parquet" else _read_npz(path)
    return Features(path, arrays, _provenance(path.with_name(PROVENANCE)))


def _read_npz(path: Path) -> dict[str, np.ndarray]:
    try:
        _require_whole(path)
        # Without pickle: a file may come from anyone, and a pickle is a program.
        with np.load(path, allow_pickle=False) as file:
            return {name: file[name] for name in file.files}
    except UNREADABLE as error:
        raise SeedTuneError(
            f"the features cannot be read ({error})",
            file=path,
            rule="an .npz file of plain arrays, as numpy.savez writes it",
            remedy="make the features again",
        ) from error


def _require_whole(path: Path) -> None:
    """Raises ValueError where an array of the archive says that it is larger than it is: numpy would take its word."""
    with zipfile.ZipFile(path) as archive:
        for info in archive.infolist():
            with archive.open(info) as member:
                version = np.lib.format.read_magic(member)
                if version not in HEADERS:
                    raise ValueError(f"{info.filename} is of the version {version}")
                shape, _, kind = HEADERS[version](member)
                if member.tell() + math.prod(shape) * kind.itemsize != info.file_size:
                    raise ValueError(f"{info.filename} has {info.file_size} bytes for {kind} {list(shape)}")


def _read_parquet(path: Path) -> dict[str, np.ndarray]:
    """Columns ``features`` (lists of equal length), and if they are there ``label`` and ``split``."""
    parquet = import_extra("pyarrow.parquet", "parquet", "a Parquet file")
    try:
        table = parquet.read_table(path)
        columns = {name: table.column(name).to_pylist() for name in table.column_names}
        found = {"features": np.array(columns["features"], np.float32)}
        if "label" in columns:
            found["labels"] = np.array([-1 if label is None else label for label in columns["label"]])
        for name in SPLITS if "split" in columns else ():
            found[name] = np.array([row for row, split in enumerate(columns["split"]) if split == name], np.int64)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise SeedTuneError(
            f"the features cannot be read ({error})",
            file=path,
            rule="columns features (lists of equal length), and if wanted label (whole numbers) and split (names)",
            remedy="make the features again",
        ) from error
    return found


def _provenance(path: Path) -> dict[str, Any]:
    if not path.is_file():
        return {}
    try:
        raw = path.read_bytes()
        found = json.loads(raw)
        # As it will stand in the manifest, which knows neither NaN nor infinity.
        json.dumps(found, allow_nan=False)
        if not isinstance(found, dict) or len(raw) > MAX_PROVENANCE_BYTES:
            raise ValueError(f"{type(found).__name__}, {len(raw):,} bytes")
    except (OSError, ValueError, RecursionError) as error:
        raise SeedTuneError(
            f"what is said of the features cannot be read ({error})",
            file=path,
            rule=f"a JSON object of at most {MAX_PROVENANCE_BYTES:,} bytes",
            remedy="write it again, or take it away",
        ) from error
    return found
