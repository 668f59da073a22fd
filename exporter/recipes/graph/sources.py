"""Where a graph comes from: an .npz, a folder of Planetoid, a graph of NetworkX, or digits that are always there."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import numpy as np
import scipy.sparse
from sklearn.datasets import load_digits
from sklearn.neighbors import NearestNeighbors
from threadpoolctl import threadpool_limits

from seedtune.exporter.recipes.graph.adjacency import Floats
from seedtune.exporter.recipes.graph.graph import Graph, checked
from seedtune.exporter.recipes.graph.npz_file import read_npz
from seedtune.exporter.recipes.graph.planetoid import is_planetoid, read_planetoid
from seedtune.runtime.errors import SeedTuneError

DIGITS = "digits"
NEAREST = 10


def read_graph(source: Any) -> Graph:
    """Reads ``source``.

    Args:
        source: the path of an .npz or of a Planetoid folder, "digits", or a ``networkx.Graph`` whose nodes have
            ``features`` and, if anybody says, an integer ``label``.

    Raises:
        SeedTuneError: none of these, or see the readers.
    """
    if hasattr(source, "nodes") and hasattr(source, "edges"):
        return from_networkx(source)
    path = Path(source)
    if str(source) == DIGITS and not path.exists():
        return digits_graph()
    if is_planetoid(path):
        return read_planetoid(path)
    if path.is_file():
        return read_npz(path)
    raise SeedTuneError(
        "there is no graph here",
        file=path,
        rule=f"an .npz, a folder of Planetoid (ind.NAME.graph), or {DIGITS}",
        remedy="check the path",
    )


def digits_graph() -> Graph:
    """scikit-learn's 1,797 digits of 8 x 8, each joined to those that have it among their nearest, or it them."""
    images, labels = load_digits(return_X_y=True)
    rows = (images / 16).astype(np.float32)
    with threadpool_limits(1):
        nearest = NearestNeighbors(n_neighbors=NEAREST).fit(rows).kneighbors(return_distance=False)
    # Asked of the rows that it was fitted on, it leaves each row out of its own neighbours.
    pairs = np.stack([np.repeat(np.arange(len(rows)), nearest.shape[1]), nearest.ravel()], axis=1)
    once = np.unique(np.sort(pairs, axis=1), axis=0)
    return checked(DIGITS, rows, once, labels, {}, {"arrays": _hash(rows, once, labels)})


def from_networkx(graph: Any) -> Graph:
    """The graph of a ``networkx.Graph`` (or a directed one, whose directions are dropped), nodes in their own order.

    Raises:
        SeedTuneError: a node has no features, or of another length; labels of some kind but integers; or see `checked`.
    """
    numbers = {node: number for number, node in enumerate(graph.nodes)}
    rows: list[Floats] = []
    labels: list[int] = []
    for node, known in graph.nodes(data=True):
        row = np.asarray(known.get("features", ()), np.float32)
        if row.ndim != 1 or not row.size or (rows and row.shape != rows[0].shape):
            raise SeedTuneError(
                "a node has no features, or others than the first",
                value=f"{node}: {row.shape}",
                rule="graph.nodes[node]['features'], as many numbers of each",
                remedy="networkx.set_node_attributes(graph, features, 'features')",
            )
        rows.append(row)
        label = known.get("label", -1)
        if not isinstance(label, int | np.integer):
            raise SeedTuneError(
                "a node's label is no class number", value=f"{node}: {label!r}", rule="an integer", remedy="number them"
            )
        labels.append(int(label))
    if not rows:
        raise SeedTuneError("the graph has no nodes", value=str(graph), rule="nodes with features")
    features = np.stack(rows)
    edges = np.array([(numbers[one], numbers[other]) for one, other in graph.edges()], np.int64).reshape(-1, 2)
    classes = np.array(labels, np.int64)
    return checked("graph", features, edges, classes, {}, {"arrays": _hash(features, edges, classes)})


def _hash(*arrays: Any) -> str:
    digest = hashlib.sha256()
    for array in arrays:
        digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()


def subgraph(graph: Graph, kept: np.ndarray) -> Graph:
    """The graph of the nodes ``kept`` [K], in that order, and of the edges between them; without splits."""
    number = np.full(graph.nodes, -1, np.int64)
    number[kept] = np.arange(len(kept))
    edges = number[graph.edges]
    rows = scipy.sparse.csr_array(graph.features[kept])
    return checked(graph.name, rows, edges[(edges >= 0).all(axis=1)], graph.labels[kept], {}, graph.hashes)
