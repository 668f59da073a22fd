"""The two repairs: what a negative weighs that may be of the node's own class, and how often each node is drawn.

Class collision: in plain InfoNCE a node of the same class is pushed away like any other. The likeness of propagated
features tells such pairs before anything is learned, so w_in = 1 - clip(cos(h_i, h_n), 0, 1), or 0 for the likest.
Imbalance: negatives drawn evenly are mostly of the largest class. Drawn with probability inverse to the size of their
cluster, each cluster pushes as much as any other.
"""

from __future__ import annotations

import warnings

import numpy as np
import torch
from sklearn.cluster import KMeans
from sklearn.exceptions import ConvergenceWarning
from threadpoolctl import threadpool_limits

from seedtune.exporter.recipes.graph.adjacency import Floats, unit_rows
from seedtune.exporter.recipes.graph.graph import Integers
from seedtune.runtime.recipes.graph_settings import GraphContrastiveSettings


def clusters_of(propagated: Floats, count: int, seed: int) -> Integers:
    """The cluster of each node, [N] int64: k-means over the directions of the propagated features."""
    rows = unit_rows(propagated)
    with threadpool_limits(1), warnings.catch_warnings():
        # Fewer different rows than clusters: then there are fewer clusters.
        warnings.simplefilter("ignore", ConvergenceWarning)
        means = KMeans(min(count, len(rows)), n_init=4, random_state=seed).fit(rows)
    found: Integers = means.labels_.astype(np.int64)
    return found


def draw_probabilities(clusters: Integers, imbalance: str) -> torch.Tensor:
    """How likely each node is drawn as a negative, [N] float64, adding up to 1."""
    sizes = np.bincount(clusters)
    shares = np.ones(len(clusters)) if imbalance == "off" else 1 / sizes[clusters]
    return torch.from_numpy(shares / shares.sum())


class Negatives:
    """Draws the negatives of a step and weighs them.

    Args:
        propagated: [N, p], by which likeness is told.
        clusters: [N].
        settings: of the recipe.
    """

    def __init__(self, propagated: Floats, clusters: Integers, settings: GraphContrastiveSettings) -> None:
        self._rows = torch.from_numpy(unit_rows(propagated))
        self._settings = settings
        self._probabilities = draw_probabilities(clusters, settings.imbalance)

    def draw(self, generator: torch.Generator) -> torch.Tensor:
        """[M] int64 node numbers, drawn with replacement; every node once where the settings say 0.

        Drawn with replacement, as a sum over draws then stands for the sum over all nodes without a bias.
        """
        if self._settings.negatives:
            return torch.multinomial(self._probabilities, self._settings.negatives, True, generator=generator)
        return torch.arange(len(self._rows))

    def weights(self, anchors: torch.Tensor, drawn: torch.Tensor) -> torch.Tensor:
        """w [B, M] of ``anchors`` [B] and ``drawn`` [M]: by what the settings say of class collision; 0 for itself.

        Where every node is a negative, a repair of the imbalance is a weight instead: N times its probability.
        """
        found = torch.ones(len(anchors), len(drawn))
        if self._settings.class_collision != "off":
            likeness = self._rows[anchors] @ self._rows[drawn].T
            if self._settings.class_collision == "cosine":
                found = 1 - likeness.clip(0, 1)
            else:
                kept = max(1, round(self._settings.collision_quantile * len(drawn)))
                found = (likeness <= likeness.kthvalue(kept, dim=1, keepdim=True).values).float()
        if not self._settings.negatives:
            found = found * (len(self._rows) * self._probabilities).float()
        return found * (anchors[:, None] != drawn[None, :])
