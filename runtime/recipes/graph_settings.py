"""Settings of the recipe graph-contrastive."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

MAX_SEED = 2**32 - 1


class GraphContrastiveSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Settings of a contrastive encoder of nodes; those of GRACE (Zhu et al. 2020), and its two repairs."""

    epochs: Annotated[int, Meta(ge=1, description="Steps, each over two views of the whole graph.")] = 200
    learning_rate: Annotated[float, Meta(gt=0, le=1, description="Of Adam.")] = 1e-3
    hidden: Annotated[int, Meta(ge=1, le=4096, description="Width of the first of the two layers.")] = 256
    dimensions: Annotated[int, Meta(ge=1, le=4096, description="Of a node's features: width of the second layer.")] = (
        128
    )
    temperature: Annotated[float, Meta(gt=0, description="That similarities are divided by.")] = 0.4
    dropped_edges: Annotated[float, Meta(ge=0, lt=1, description="Share of the edges that a view lacks.")] = 0.3
    masked_features: Annotated[float, Meta(ge=0, lt=1, description="Share of the input columns that a view lacks.")] = (
        0.3
    )
    anchors: Annotated[int, Meta(ge=0, description="Nodes drawn a step whose loss is counted; 0: all.")] = 512
    negatives: Annotated[
        int, Meta(ge=0, description="Drawn a step, for all anchors together; 0: every node is one.")
    ] = 512
    class_collision: Annotated[
        Literal["off", "cosine", "quantile"],
        Meta(
            description="What a negative weighs that may be of the node's own class. cosine: 1 less the likeness of "
            "their propagated features; quantile: nothing for the likest; off: all weigh 1."
        ),
    ] = "cosine"
    collision_quantile: Annotated[
        float, Meta(gt=0, lt=1, description="Of a node's negatives, by likeness, that quantile keeps.")
    ] = 0.9
    imbalance: Annotated[
        Literal["off", "clusters"],
        Meta(description="How negatives are drawn. clusters: each cluster as often as any other; off: each node."),
    ] = "clusters"
    clusters: Annotated[int, Meta(ge=2, le=4096, description="Of the propagated features, by k-means.")] = 16
    propagated_dimensions: Annotated[
        int, Meta(ge=1, le=4096, description="Of the propagated features, by a truncated SVD.")
    ] = 64
    seed: Annotated[int, Meta(ge=0, le=MAX_SEED, description="Everything random follows from it.")] = 0
