"""The embeddings that a run of contrastive heads keeps for its picture, checked, and brought down to a plane."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt

from seedtune.runtime.arrays import Array, read_arrays
from seedtune.runtime.errors import SeedTuneError
from seedtune.runtime.extras import import_extra

Floats = npt.NDArray[np.float64]
NAMES = {"start", "best", "labels"}
PERPLEXITY = 30.0


def read_embeddings(path: Path) -> dict[str, Array]:
    """``start`` and ``best`` [P, d] float32 and ``labels`` [P] int64; nothing where there is no such file.

    Raises:
        SeedTuneError: it is damaged, or holds others.
    """
    if not path.exists():
        return {}
    found = read_arrays(path, "the embeddings of the run")
    shapes = {name: (values.dtype.kind, values.shape) for name, values in found.items()}
    rows = len(found.get("labels", ()))
    whole = set(found) == NAMES and shapes["start"] == shapes["best"] and len(shapes["start"][1]) == 2
    if not whole or shapes["labels"] != ("i", (rows,)) or shapes["start"][0] != "f" or shapes["start"][1][0] != rows:
        raise SeedTuneError(
            "these are no embeddings of one set of rows",
            file=path,
            value=shapes,
            rule="start and best of one shape, and a label for each row",
            remedy="restore the file from where it was copied, or delete it",
        )
    return found


def principal_plane(values: Array) -> Floats:
    """Rows of unit length on their two principal axes, [P, 2]; the sign of an axis is that of its largest entry."""
    unit = _unit(values)
    unit = unit - unit.mean(axis=0)
    axes = np.linalg.svd(unit, full_matrices=False)[2][:2]
    largest = np.take_along_axis(axes, np.abs(axes).argmax(axis=1)[:, None], 1)
    plane = np.zeros((len(unit), 2))
    plane[:, : len(axes)] = unit @ (axes * np.where(largest < 0, -1.0, 1.0)).T
    return plane


def neighbour_plane(values: Array) -> Floats:
    """Rows of unit length by t-SNE (van der Maaten and Hinton 2008), [P, 2]; from their principal plane on.

    Raises:
        SeedTuneError: scikit-learn is not installed.
    """
    manifold = import_extra("sklearn.manifold", "heads", "t-SNE")
    perplexity = min(PERPLEXITY, max(1.0, (len(values) - 1) / 3))
    found: Floats = manifold.TSNE(2, perplexity=perplexity, init="pca", random_state=0).fit_transform(_unit(values))
    return found


def _unit(values: Array) -> Floats:
    wide = np.nan_to_num(values.astype(np.float64))
    result: Floats = wide / np.maximum(np.linalg.norm(wide, axis=1, keepdims=True), 1e-12)
    return result
