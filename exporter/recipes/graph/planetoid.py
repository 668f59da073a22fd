"""A folder of Planetoid (Yang et al. 2016): ind.NAME.x, tx, allx, y, ty, ally, graph and test.index."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
import scipy.sparse

from seedtune.exporter.recipes.graph.graph import MOST_NODES, Graph, Integers, checked
from seedtune.exporter.recipes.graph.harmless_pickle import MOST_BYTES, read_pickle
from seedtune.runtime.errors import SeedTuneError
from seedtune.runtime.files import sha256_of

PARTS = ("x", "tx", "allx", "y", "ty", "ally", "graph", "test.index")
VALIDATION = 500


def is_planetoid(folder: Path) -> bool:
    """Whether some of its files look so."""
    return folder.is_dir() and any(folder.glob("ind.*.graph"))


def read_planetoid(folder: Path) -> Graph:
    """Reads ``folder``, with the split of Yang et al. 2016: the labelled rows, the 500 behind, the test nodes.

    Test nodes that the index leaves out (15 of Citeseer) have neither features nor a label.

    Raises:
        SeedTuneError: files of one graph are missing or of several are there, a file is not what it should be, or see
            `graph.checked`.
    """
    names = sorted(path.name.split(".", 1)[1].rsplit(".", 1)[0] for path in folder.glob("ind.*.graph"))
    if len(names) != 1:
        raise SeedTuneError(
            "the folder holds no single graph", file=folder, value=", ".join(names), rule="ind.NAME.graph of one NAME",
            remedy="give a folder for each graph",
        )  # fmt: skip
    paths = {part: folder / f"ind.{names[0]}.{part}" for part in PARTS}
    for path in paths.values():
        if not path.is_file():
            raise SeedTuneError(
                "a file of the graph is missing", file=path, rule=", ".join(p.name for p in paths.values()),
                remedy="take the whole folder",
            )  # fmt: skip
    order = _test_nodes(paths["test.index"])
    known, test = (_table(paths[part]) for part in ("allx", "tx"))
    first = known.shape[0]
    nodes = max(first + test.shape[0], int(order.max()) + 1)
    if len(order) != test.shape[0] or order.min() < first or nodes > MOST_NODES or known.shape[1] != test.shape[1]:
        raise _unfit(folder, f"{len(order)} test nodes from {order.min()}, {test.shape[0]} rows of tx, {first} of allx")
    places = scipy.sparse.csr_array(
        (np.ones(len(order), np.float32), (order, np.arange(len(order)))), shape=(nodes, len(order))
    )
    blank = scipy.sparse.csr_array((nodes - first, known.shape[1]), dtype=np.float32)
    features = scipy.sparse.vstack([known, blank]) + places @ test
    labels = _labels(folder, paths, order, first, nodes)
    edges = _edges(paths["graph"])
    trained = len(_array(paths["y"]))
    splits = {
        "train": np.arange(trained),
        "validation": np.arange(trained, min(trained + VALIDATION, first)),
        "test": np.sort(order),
    }
    hashes = {path.name: sha256_of(path) for path in paths.values()}
    return checked(str(folder), scipy.sparse.csr_array(features), edges, labels, splits, hashes)


def _labels(folder: Path, paths: dict[str, Path], order: Integers, first: int, nodes: int) -> Integers:
    known, test = (_array(paths[part]) for part in ("ally", "ty"))
    fits = known.ndim == test.ndim == 2 and known.shape[1:] == test.shape[1:]
    if not fits or len(known) != first or len(test) != len(order):
        raise _unfit(folder, f"ally {known.shape}, ty {test.shape}")
    labels = np.full(nodes, -1, np.int64)
    for rows, where in ((known, np.arange(first)), (test, order)):
        said = (rows != 0).any(axis=1)
        labels[where[said]] = rows[said].argmax(axis=1)
    return labels


def _edges(path: Path) -> Integers:
    found = read_pickle(path)
    if not isinstance(found, dict):
        raise _unfit(path, type(found).__name__)
    pairs = [(node, other) for node, others in found.items() for other in others]
    try:
        return np.array(pairs, np.int64).reshape(-1, 2)
    except OverflowError as error:
        raise _unfit(path, "a node number of more than 64 bits") from error


def _table(path: Path) -> scipy.sparse.csr_array:
    found = read_pickle(path)
    if not isinstance(found, scipy.sparse.csr_array):
        raise _unfit(path, type(found).__name__)
    return found


def _array(path: Path) -> npt.NDArray[np.generic]:
    found = read_pickle(path)
    if not isinstance(found, np.ndarray):
        raise _unfit(path, type(found).__name__)
    return found


def _test_nodes(path: Path) -> Integers:
    try:
        if path.stat().st_size > MOST_BYTES:
            raise ValueError(f"{path.stat().st_size:,} bytes")
        numbers = [int(line) for line in path.read_text("utf-8").split()]
        found = np.array(numbers, np.int64)
    except (ValueError, OverflowError) as error:
        raise _unfit(path, str(error)[:200]) from error
    if not len(found) or found.min() < 0 or len(np.unique(found)) != len(found):
        raise _unfit(path, f"{len(found)} numbers")
    return found


def _unfit(path: Path, value: str) -> SeedTuneError:
    return SeedTuneError(
        "the files of the graph do not fit together",
        file=path,
        value=value,
        rule="x, tx, allx sparse tables; y, ty, ally one-hot rows; graph node -> neighbours; test.index numbers",
        remedy="take the original files, or write the graph as an .npz",
    )
