"""Views of a graph: some edges left out, some columns of the features hidden (GRACE: Zhu et al. 2020, section 3.2)."""

from __future__ import annotations

import numpy as np
import scipy.sparse
import torch

from seedtune.exporter.recipes.graph.encoder import by_rows
from seedtune.exporter.recipes.graph.graph import Graph


class Views:
    """Draws views of one graph: the places of its adjacency stay, only values change, so nothing is sorted again.

    Args:
        graph: N nodes, E edges, F columns.
        dropped: share of the edges that a view lacks.
        masked: share of the columns that a view lacks.
    """

    def __init__(self, graph: Graph, dropped: float, masked: float) -> None:
        nodes, count = graph.nodes, len(graph.edges)
        own = np.arange(nodes)
        row = np.concatenate([graph.edges[:, 0], graph.edges[:, 1], own])
        column = np.concatenate([graph.edges[:, 1], graph.edges[:, 0], own])
        # Which edge an entry is of; the one behind the last stands for self loops, which are never dropped.
        edge = np.concatenate([np.arange(count), np.arange(count), np.full(nodes, count)])
        places = scipy.sparse.csr_array((edge + 1, (row, column)), shape=(nodes, nodes))
        self._edge = torch.from_numpy(places.data.astype(np.int64) - 1)
        self._offsets = torch.from_numpy(places.indptr.astype(np.int64))
        self._column = torch.from_numpy(places.indices.astype(np.int64))
        self._row = torch.repeat_interleave(torch.arange(nodes), self._offsets.diff())
        self._nodes, self._edges, self._columns = nodes, count, graph.features.shape[1]
        self._dropped, self._masked = dropped, masked

    def draw(self, generator: torch.Generator) -> tuple[torch.Tensor, torch.Tensor]:
        """The normalised adjacency [N, N] of a view with its own degrees, and [F] of 0 and 1: the columns it has."""
        kept = torch.ones(self._edges + 1)
        kept[:-1] = (torch.rand(self._edges, generator=generator) >= self._dropped).float()
        entries = kept[self._edge]
        root = torch.zeros(self._nodes).index_add(0, self._row, entries).rsqrt()
        values = entries * root[self._row] * root[self._column]
        adjacency = by_rows(self._offsets, self._column, values, (self._nodes, self._nodes))
        return adjacency, (torch.rand(self._columns, generator=generator) >= self._masked).float()
