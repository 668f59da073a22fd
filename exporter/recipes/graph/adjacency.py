"""The symmetric normalised adjacency with self loops, what is propagated by it, and each node's neighbours."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import scipy.sparse
import scipy.sparse.linalg

from seedtune.exporter.recipes.graph.graph import Graph, Integers

Floats = npt.NDArray[np.float32]
HOPS = 2
# A side of a matrix up to which the whole decomposition is found; beyond it, by Lanczos, the part that is wanted.
SMALL = 128


def normalised_adjacency(edges: Integers, nodes: int) -> scipy.sparse.csr_array:
    """D^-1/2 (A + I) D^-1/2, [N, N] float32, of ``edges`` [E, 2] that are each there once (Kipf and Welling 2017)."""
    own = np.arange(nodes)
    row = np.concatenate([edges[:, 0], edges[:, 1], own])
    column = np.concatenate([edges[:, 1], edges[:, 0], own])
    root = 1 / np.sqrt(np.bincount(row, minlength=nodes))
    values = (root[row] * root[column]).astype(np.float32)
    return scipy.sparse.csr_array((values, (row, column)), shape=(nodes, nodes))


def row_normalised(features: scipy.sparse.csr_array) -> scipy.sparse.csr_array:
    """``features`` [N, F] with rows whose absolute values add up to 1; a row of zeros stays one."""
    size = np.asarray(abs(features).sum(axis=1)).ravel()
    scale = np.divide(1, size, out=np.zeros_like(size), where=size > 0)
    return scipy.sparse.csr_array(scipy.sparse.diags_array(scale) @ features, dtype=np.float32)


def propagated(graph: Graph, dimensions: int, seed: int) -> Floats:
    """S S X of the normalised adjacency S and the row-normalised features X, by a truncated SVD: U times the values.

    Returns:
        [N, min(dimensions, N, F)] float32; of each column the largest value is positive, so that signs are no chance.
    """
    adjacency, inputs = normalised_adjacency(graph.edges, graph.nodes), row_normalised(graph.features)
    product = inputs
    for _hop in range(HOPS):
        product = adjacency @ product
    if min(product.shape) <= SMALL:
        left, values, _right = np.linalg.svd(product.toarray().astype(np.float64), full_matrices=False)
        return _signed(left[:, :dimensions] * values[:dimensions])
    count = min(dimensions, min(product.shape) - 1)
    start = np.random.default_rng(seed).standard_normal(min(product.shape))
    left, values, _right = scipy.sparse.linalg.svds(product.astype(np.float64), k=count, v0=start)
    return _signed(left[:, ::-1] * values[::-1])


def neighbours(graph: Graph) -> tuple[Integers, Integers]:
    """Each node's neighbours: ``offsets`` [N + 1] into ``numbers`` [2 E], both int64; those of a node are sorted."""
    row = np.concatenate([graph.edges[:, 0], graph.edges[:, 1]])
    column = np.concatenate([graph.edges[:, 1], graph.edges[:, 0]])
    order = np.lexsort((column, row))
    offsets = np.concatenate([[0], np.cumsum(np.bincount(row, minlength=graph.nodes))])
    return offsets.astype(np.int64), column[order].astype(np.int64)


def unit_rows(values: Floats) -> Floats:
    """``values`` [N, d] with rows of length 1; a row of zeros stays one."""
    length = np.linalg.norm(values, axis=1, keepdims=True)
    found: Floats = np.divide(values, length, out=np.zeros_like(values), where=length > 0)
    return found


def _signed(columns: npt.NDArray[np.float64]) -> Floats:
    largest = columns[np.abs(columns).argmax(axis=0), np.arange(columns.shape[1])]
    return np.ascontiguousarray(columns * np.where(largest < 0, -1, 1), np.float32)
