"""A graph in an .npz of plain arrays: features dense or as the parts of a sparse table, edges, labels, splits."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import scipy.sparse

from seedtune.exporter.recipes.graph.graph import MOST_COLUMNS, MOST_NODES, SPLITS, Graph, checked
from seedtune.runtime.errors import SeedTuneError
from seedtune.runtime.files import sha256_of

SPARSE_PARTS = ("data", "indices", "indptr", "shape")
# Of all arrays together: beyond that somebody wants to fill the memory.
MOST_BYTES = 2 << 30


def read_npz(path: Path) -> Graph:
    """Reads ``path``: ``edges`` [E, 2]; ``features`` [N, F], or `SPARSE_PARTS`; ``labels`` [N] and splits if there.

    Raises:
        SeedTuneError: no .npz of plain arrays, too large, parts that are missing, or see `graph.checked`.
    """
    try:
        _require_small(path)
        # Never with pickled objects: they are programs.
        with np.load(path, allow_pickle=False) as opened:
            arrays = {name: opened[name] for name in opened.files}
    except (OSError, ValueError, zipfile.BadZipFile, EOFError, KeyError) as error:
        raise _unusable(path, "this is no .npz of plain arrays", str(error)[:200]) from error
    if "edges" not in arrays:
        raise _unusable(path, "the graph has no edges", ", ".join(arrays))
    features = arrays["features"] if "features" in arrays else _sparse(path, arrays)
    given = {name: arrays[name] for name in SPLITS if name in arrays}
    return checked(str(path), features, arrays["edges"], arrays.get("labels"), given, {path.name: sha256_of(path)})


def _require_small(path: Path) -> None:
    with zipfile.ZipFile(path) as archive:
        total = sum(entry.file_size for entry in archive.infolist())
    if total > MOST_BYTES:
        raise _unusable(path, "the file holds too much", f"{total:,} bytes")


def _sparse(path: Path, arrays: dict[str, Any]) -> scipy.sparse.csr_array:
    missing = [name for name in SPARSE_PARTS if name not in arrays]
    if missing:
        raise _unusable(path, "the graph has no features", ", ".join(arrays))
    data, indices, offsets, shape = (arrays[name] for name in SPARSE_PARTS)
    sizes = [int(size) for size in shape.ravel()] if shape.dtype.kind in "iu" and shape.shape == (2,) else []
    fits = len(sizes) == 2 and 0 < sizes[0] <= MOST_NODES and 0 < sizes[1] <= MOST_COLUMNS
    plain = all(part.dtype.kind in "iu" and part.ndim == 1 for part in (indices, offsets))
    try:
        if not fits or not plain:
            raise ValueError(f"shape {shape.tolist()}, indices {indices.dtype}, indptr {offsets.dtype}"[:200])
        table = scipy.sparse.csr_array((data, indices, offsets), shape=(sizes[0], sizes[1]))
        table.check_format(full_check=True)
    except (ValueError, TypeError, IndexError) as error:
        raise _unusable(path, "the parts of the sparse features do not fit together", str(error)[:200]) from error
    return table


def _unusable(path: Path, what: str, value: str) -> SeedTuneError:
    return SeedTuneError(
        what,
        file=path,
        value=value,
        rule=f"an .npz with edges [E, 2] and features [N, F], or {', '.join(SPARSE_PARTS)} for sparse ones",
        remedy="write it with numpy.savez",
    )
