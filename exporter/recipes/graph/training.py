"""Learning an encoder: two views a step, the loss between them, Adam."""

from __future__ import annotations

import math
from collections.abc import Iterator

import torch

from seedtune.exporter.recipes.graph.adjacency import Floats
from seedtune.exporter.recipes.graph.encoder import Encoder, Inputs, Projection
from seedtune.exporter.recipes.graph.graph import Graph, Integers
from seedtune.exporter.recipes.graph.loss import contrastive_loss
from seedtune.exporter.recipes.graph.negatives import Negatives
from seedtune.exporter.recipes.graph.views import Views
from seedtune.runtime.errors import SeedTuneError
from seedtune.runtime.recipes.graph_settings import GraphContrastiveSettings

# As of GRACE.
WEIGHT_DECAY = 1e-5
# Pairs of a step: each takes about 40 bytes.
MOST_PAIRS = 100_000_000


class Learning:
    """An encoder that learns.

    Args:
        graph: N nodes.
        propagated: [N, p]; see `adjacency.propagated`.
        clusters: [N]; see `negatives.clusters_of`.
        settings: of the recipe.

    Raises:
        SeedTuneError: the settings ask for too many pairs.
    """

    def __init__(
        self, graph: Graph, propagated: Floats, clusters: Integers, settings: GraphContrastiveSettings
    ) -> None:
        pairs = min(settings.anchors or graph.nodes, graph.nodes) * (settings.negatives or graph.nodes)
        if pairs > MOST_PAIRS:
            raise SeedTuneError(
                "a step would take too much memory",
                value=f"{pairs:,} pairs of an anchor and a negative",
                rule=f"at most {MOST_PAIRS:,}",
                remedy="give fewer --anchors or --negatives, such as 512",
            )
        self._settings = settings
        self._generator = torch.Generator().manual_seed(settings.seed)
        self._inputs = Inputs.of(graph)
        self._views = Views(graph, settings.dropped_edges, settings.masked_features)
        self._negatives = Negatives(propagated, clusters, settings)
        columns = graph.features.shape[1]
        self.encoder = Encoder(columns, settings.hidden, settings.dimensions, self._generator)
        self._projection = Projection(settings.dimensions, self._generator)
        self._scale = graph.nodes / settings.negatives if settings.negatives else 1.0

    def steps(self) -> Iterator[float]:
        """The loss of each step, as it is made.

        Raises:
            SeedTuneError: a loss is not finite.
        """
        parameters = [*self.encoder.parameters(), *self._projection.parameters()]
        optimizer = torch.optim.Adam(parameters, lr=self._settings.learning_rate, weight_decay=WEIGHT_DECAY)
        for step in range(1, self._settings.epochs + 1):
            loss = self._loss()
            value = float(loss.detach())
            if not math.isfinite(value):
                raise SeedTuneError(
                    f"the loss of step {step} is no number",
                    value=value,
                    rule="a finite loss",
                    remedy="give a lower --learning-rate or a higher --temperature",
                )
            optimizer.zero_grad()
            torch.autograd.backward(loss)
            optimizer.step()
            yield value

    def _loss(self) -> torch.Tensor:
        views = [self.encoder(self._inputs, *self._views.draw(self._generator)) for _view in range(2)]
        anchors, negatives = self._anchors(), self._negatives.draw(self._generator)
        weights = self._negatives.weights(anchors, negatives) * self._scale
        # Both at once, so that what is not asked for is not projected.
        rows = torch.cat([anchors, negatives])
        first, second = (self._projection(view[rows]).split([len(anchors), len(negatives)]) for view in views)
        return contrastive_loss(first, second, weights, self._settings.temperature)

    def _anchors(self) -> torch.Tensor:
        nodes = self._inputs.rows.shape[0]
        if not self._settings.anchors or self._settings.anchors >= nodes:
            return torch.arange(nodes)
        return torch.randperm(nodes, generator=self._generator)[: self._settings.anchors]

    @torch.no_grad()
    def embeddings(self) -> Floats:
        """[N, d] float32 of the whole graph, rows of length 1."""
        found: Floats = torch.nn.functional.normalize(self.encoder(self._inputs, self._inputs.adjacency)).numpy()
        return found
