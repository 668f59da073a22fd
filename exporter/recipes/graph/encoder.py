"""A graph convolution net of two layers in plain sparse products, and the projection head above it while it learns."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.sparse
import torch
from torch import nn
from torch.nn import functional

from seedtune.exporter.recipes.graph.adjacency import normalised_adjacency, row_normalised
from seedtune.exporter.recipes.graph.graph import Graph


def sparse_tensor(matrix: scipy.sparse.csr_array) -> torch.Tensor:
    """``matrix`` as torch has it, by rows."""
    offsets, columns = (torch.from_numpy(part.astype(np.int64)) for part in (matrix.indptr, matrix.indices))
    return by_rows(offsets, columns, torch.from_numpy(matrix.data.astype(np.float32)), matrix.shape)


def by_rows(offsets: torch.Tensor, columns: torch.Tensor, values: torch.Tensor, size: tuple[int, ...]) -> torch.Tensor:
    """A sparse tensor by rows, without torch's word that such are new."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Sparse CSR tensor support is in beta state")
        return torch.sparse_csr_tensor(offsets, columns, values, size=size, check_invariants=False)


class _Product(torch.autograd.Function):
    """A sparse matrix times a dense one, whose gradient is the transposed matrix times the gradient."""

    @staticmethod
    def forward(ctx: Any, matrix: torch.Tensor, transposed: torch.Tensor, dense: torch.Tensor) -> torch.Tensor:
        ctx.transposed = transposed
        return matrix @ dense

    @staticmethod
    def backward(ctx: Any, *gradients: torch.Tensor) -> tuple[None, None, torch.Tensor]:
        return None, None, ctx.transposed @ gradients[0]


@dataclass(frozen=True, eq=False)
class Inputs:
    """What the encoder reads of a graph: features by rows [N, F] and by columns [F, N], and the adjacency [N, N]."""

    rows: torch.Tensor
    columns: torch.Tensor
    adjacency: torch.Tensor

    @staticmethod
    def of(graph: Graph) -> Inputs:
        """The whole graph, nothing left out."""
        features = row_normalised(graph.features)
        return Inputs(
            sparse_tensor(features),
            sparse_tensor(scipy.sparse.csr_array(features.T)),
            sparse_tensor(normalised_adjacency(graph.edges, graph.nodes)),
        )


class Encoder(nn.Module):
    """h = relu(S relu(S X V + b) W + c), of the adjacency S [N, N] and the features X [N, F] (Kipf and Welling 2017).

    Args:
        columns: F.
        hidden: H.
        dimensions: d.
        generator: of the first weights (Glorot and Bengio 2010).
    """

    def __init__(self, columns: int, hidden: int, dimensions: int, generator: torch.Generator) -> None:
        super().__init__()
        self.first = nn.Parameter(torch.empty(columns, hidden))
        self.second = nn.Parameter(torch.empty(hidden, dimensions))
        for weight in (self.first, self.second):
            nn.init.xavier_uniform_(weight, generator=generator)
        self.first_bias = nn.Parameter(torch.zeros(hidden))
        self.second_bias = nn.Parameter(torch.zeros(dimensions))

    def forward(self, inputs: Inputs, adjacency: torch.Tensor, kept: torch.Tensor | None = None) -> torch.Tensor:
        """[N, d].

        Args:
            inputs: of the graph.
            adjacency: [N, N], of the graph or of a view, symmetric.
            kept: [F] of 0 and 1: columns of the features that a view has; None for all.
        """
        weight = self.first if kept is None else self.first * kept[:, None]
        found = _Product.apply(inputs.rows, inputs.columns, weight)
        found = _Product.apply(adjacency, adjacency, found) + self.first_bias
        found = _Product.apply(adjacency, adjacency, functional.relu(found) @ self.second) + self.second_bias
        return functional.relu(found)


class Projection(nn.Module):
    """elu(h V + b) W + c, [N, d] to [N, d]: above the encoder while it learns, and left out afterwards (GRACE)."""

    def __init__(self, dimensions: int, generator: torch.Generator) -> None:
        super().__init__()
        # Their own first values come from torch's global generator, and are all replaced here.
        self.layers = nn.Sequential(nn.Linear(dimensions, dimensions), nn.ELU(), nn.Linear(dimensions, dimensions))
        for name, value in self.layers.named_parameters():
            if name.endswith("weight"):
                nn.init.xavier_uniform_(value, generator=generator)
            else:
                nn.init.zeros_(value)

    def forward(self, embeddings: torch.Tensor) -> torch.Tensor:
        """[N, d]."""
        found: torch.Tensor = self.layers(embeddings)
        return found
