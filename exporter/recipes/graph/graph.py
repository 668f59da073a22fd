"""A graph as every reader gives it: checked, undirected, each edge once; what was put right is told."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import scipy.sparse

from seedtune.runtime.errors import SeedTuneError

Integers = npt.NDArray[np.int64]
# A step holds several arrays of N x M.
MOST_NODES = 50_000
# Of the first layer's weights, one row each.
MOST_COLUMNS = 200_000
MOST_CLASSES = 10_000
SPLITS = ("train", "validation", "test")


@dataclass(frozen=True, eq=False)
class Graph:
    """An undirected graph without loops.

    Attributes:
        name: for people.
        features: [N, F] float32, sparse by rows.
        edges: [E, 2] int64, each once, the smaller node first, sorted.
        labels: [N] int64; -1 where nobody says.
        splits: name -> node numbers; empty where none were given.
        hashes: file (or "arrays") -> SHA-256 of what was read.
        notices: what was put right.
    """

    name: str
    features: scipy.sparse.csr_array
    edges: Integers
    labels: Integers
    splits: Mapping[str, Integers]
    hashes: Mapping[str, str]
    notices: tuple[str, ...] = ()

    @property
    def nodes(self) -> int:
        """N."""
        return int(self.features.shape[0])

    @property
    def classes(self) -> int:
        """Different labels."""
        return len(np.unique(self.labels[self.labels >= 0]))


def checked(
    name: str,
    features: scipy.sparse.sparray | npt.NDArray[np.generic],
    edges: npt.NDArray[np.generic],
    labels: npt.NDArray[np.generic] | None,
    splits: Mapping[str, npt.NDArray[np.generic]],
    hashes: Mapping[str, str],
) -> Graph:
    """A graph of what a reader found; loops, directions and repeated edges are taken out, and told.

    Args:
        name: of the file or folder.
        features: [N, F] numbers.
        edges: [E, 2] node numbers.
        labels: [N] integers, or None; below 0 where nobody says.
        splits: node numbers by the names of `SPLITS`; may be empty.
        hashes: see `Graph`.

    Raises:
        SeedTuneError: arrays that do not fit together, node numbers that there are not, numbers that are none, no
            edge that joins two nodes, or one class alone.
    """
    rows = _features(name, features)
    nodes = rows.shape[0]
    pairs, notices = _edges(name, edges, nodes)
    classes = _labels(name, labels, nodes)
    isolated = nodes - len(np.unique(pairs))
    if isolated:
        notices.append(f"{isolated:,} nodes have no neighbour: they are embedded by their own features alone")
    unlabelled = int((classes < 0).sum())
    if unlabelled:
        notices.append(f"{unlabelled:,} of {nodes:,} nodes have no label")
    parts = {part: _split(name, part, np.asarray(given), nodes) for part, given in splits.items()}
    _require_apart(name, parts)
    return Graph(name, rows, pairs, classes, parts, dict(hashes), tuple(notices))


def _features(name: str, features: scipy.sparse.sparray | npt.NDArray[np.generic]) -> scipy.sparse.csr_array:
    if features.ndim != 2 or not features.shape[0] or not features.shape[1]:
        raise _unusable(name, "the features are no table", str(features.shape), "[nodes, columns]")
    if features.dtype.kind not in "fiub":
        raise _unusable(name, "the features are no numbers", str(features.dtype), "float32")
    if features.shape[0] > MOST_NODES or features.shape[1] > MOST_COLUMNS:
        rule = f"at most {MOST_NODES:,} nodes with {MOST_COLUMNS:,} columns"
        raise _unusable(name, "the graph is too large", str(features.shape), rule)
    rows = scipy.sparse.csr_array(features, dtype=np.float32)
    if not np.isfinite(rows.data).all():
        raise _unusable(name, "some features are not finite", "nan or infinity", "finite numbers")
    rows.sum_duplicates()
    rows.eliminate_zeros()
    if not rows.nnz:
        raise _unusable(name, "every feature is 0", str(rows.shape), "something that tells nodes apart")
    return rows


def _edges(name: str, edges: npt.NDArray[np.generic], nodes: int) -> tuple[Integers, list[str]]:
    if edges.ndim != 2 or edges.shape[1] != 2 or edges.dtype.kind not in "iu":
        raise _unusable(name, "the edges are no pairs of nodes", f"{edges.dtype} {edges.shape}", "integers [edges, 2]")
    if len(edges) and (int(edges.min()) < 0 or int(edges.max()) >= nodes):
        found = int(edges.max()) if int(edges.min()) >= 0 else int(edges.min())
        raise _unusable(name, "an edge names a node that has no features", f"node {found}", f"0 to {nodes - 1}")
    pairs = np.sort(edges.astype(np.int64), axis=1)
    loops = pairs[:, 0] == pairs[:, 1]
    notices = [f"{int(loops.sum()):,} edges from a node to itself were left out"] if loops.any() else []
    once = np.unique(pairs[~loops], axis=0)
    repeated = int((~loops).sum()) - len(once)
    if repeated:
        notices.append(f"{repeated:,} edges said again what others had said, in either direction")
    if not len(once):
        raise _unusable(name, "no edge joins two nodes", f"{len(edges)} edges", "at least one")
    return once, notices


def _labels(name: str, labels: npt.NDArray[np.generic] | None, nodes: int) -> Integers:
    if labels is None:
        return np.full(nodes, -1, np.int64)
    if labels.shape != (nodes,) or labels.dtype.kind not in "iu":
        raise _unusable(
            name, "the labels do not fit the nodes", f"{labels.dtype} {labels.shape}", f"integers [{nodes}]"
        )
    if labels.max() >= MOST_CLASSES:
        raise _unusable(name, "a label is no class number", str(labels.max()), f"0 to {MOST_CLASSES - 1}, or -1")
    classes = np.maximum(labels.astype(np.int64), -1)
    if len(np.unique(classes[classes >= 0])) == 1:
        raise _unusable(name, "all labels are one class", str(classes.max()), "two classes or more, or no labels")
    return classes


def _split(name: str, part: str, given: npt.NDArray[np.generic], nodes: int) -> Integers:
    if part not in SPLITS or given.ndim != 1 or given.dtype.kind not in "iu":
        raise _unusable(name, f"the split {part} is no list of nodes", f"{given.dtype} {given.shape}", "integers")
    numbers = given.astype(np.int64)
    if len(numbers) and (numbers.min() < 0 or numbers.max() >= nodes):
        raise _unusable(name, f"the split {part} names nodes that are not there", str(nodes), f"0 to {nodes - 1}")
    if len(np.unique(numbers)) != len(numbers):
        raise _unusable(name, f"the split {part} names a node twice", f"{len(numbers)} numbers", "each once")
    return numbers


def _require_apart(name: str, parts: Mapping[str, Integers]) -> None:
    together = np.concatenate([*parts.values(), np.empty(0, np.int64)])
    if len(np.unique(together)) != len(together):
        raise _unusable(name, "a node is in two splits", ", ".join(parts), "splits without a node in common")


def _unusable(name: str, what: str, value: str, rule: str) -> SeedTuneError:
    return SeedTuneError(
        what, file=name, value=value, rule=rule, remedy="put the graph right; see docs/guides/recipes.md"
    )
