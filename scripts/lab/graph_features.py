"""Features of a citation graph: bags of words, propagated twice along its edges, reduced; positives are neighbours."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from scipy.sparse import coo_matrix, csr_matrix, diags, identity
from sklearn.decomposition import TruncatedSVD

PROPAGATIONS, COMPONENTS = 2, 64


def graph_features(path: Path) -> dict[str, np.ndarray]:
    """The arrays of docs/reference/features.md for the graph in the file ``path``.

    With X the rows of words, each divided by its sum, A the edges and D the degrees of A + I:

        H = S S X,   S = D^(-1/2) (A + I) D^(-1/2)        (Wu et al. 2019, arXiv 1902.07153, eq. 7)

    Args:
        path: an .npz with the CSR parts ``data``, ``indices``, ``indptr``, ``shape``, ``edges`` [E, 2], ``labels``,
            and the public split ``train``, ``validation``, ``test``.
    """
    with np.load(path) as file:
        given = {name: file[name] for name in file.files}
    words = csr_matrix((given["data"], given["indices"], given["indptr"]), shape=tuple(given["shape"])).astype(float)
    count = words.shape[0]
    sums = np.asarray(words.sum(axis=1)).ravel()
    words = diags(1 / np.maximum(sums, 1e-12)) @ words
    ones = np.ones(len(given["edges"]))
    edges = coo_matrix((ones, given["edges"].T), shape=(count, count)).tocsr()
    edges = ((edges + edges.T) > 0).astype(float)
    edges.setdiag(0)
    edges.eliminate_zeros()
    looped = edges + identity(count)
    scale = diags(1 / np.sqrt(np.asarray(looped.sum(axis=1)).ravel()))
    step = scale @ looped @ scale
    for _ in range(PROPAGATIONS):
        words = step @ words
    features = TruncatedSVD(COMPONENTS, random_state=0).fit_transform(words)
    arrays = {name: given[name].astype(np.int64) for name in ("labels", "train", "validation", "test")}
    return arrays | {
        "features": features.astype(np.float32),
        "positive_offsets": edges.indptr.astype(np.int64),
        "positives": edges.indices.astype(np.int64),
    }
