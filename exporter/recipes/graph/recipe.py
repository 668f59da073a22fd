"""The recipe graph-contrastive from start to end: read, propagate, learn, measure, write."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt
import onnxruntime

from seedtune.exporter.recipes.features import write_features
from seedtune.exporter.recipes.graph.adjacency import Floats, neighbours, propagated
from seedtune.exporter.recipes.graph.encoder_graph import write_encoder
from seedtune.exporter.recipes.graph.evaluation import linear_evaluation, splits_of
from seedtune.exporter.recipes.graph.graph import Graph, Integers
from seedtune.exporter.recipes.graph.negatives import clusters_of
from seedtune.exporter.recipes.graph.sources import read_graph
from seedtune.exporter.recipes.graph.training import Learning
from seedtune.runtime.errors import SeedTuneError
from seedtune.runtime.files import new_folder
from seedtune.runtime.recipes.graph_settings import GraphContrastiveSettings
from seedtune.runtime.recipes.records import ENCODER_FILE, RecipeEvent, RecipeFinished, RecipePrepared, RecipeStep

RECIPE = "graph-contrastive"
# Between torch's encoder and ONNX Runtime's, of embeddings with rows of length 1.
ALLOWED = 1e-4
# Of a dense table of features, beyond which the two are not compared.
DENSE_VALUES = 64_000_000


def made_graph_contrastive(
    source: Any, out: Path, settings: GraphContrastiveSettings, *, propagate_only: bool = False
) -> Iterator[RecipeEvent]:
    """Makes the folder ``out``; yields events.

    Args:
        source: see `sources.read_graph`.
        out: the new folder.
        settings: of the recipe.
        propagate_only: no encoder: the features are the propagated ones, for a map that a phone learns.

    Raises:
        SeedTuneError: a graph that cannot be used, a loss that is no number, or a folder that cannot be made; ``out``
            is then as it was.
    """
    graph = read_graph(source)
    data: dict[str, int | str] = {
        "name": graph.name,
        "nodes": graph.nodes,
        "edges": len(graph.edges),
        "columns": int(graph.features.shape[1]),
        "classes": graph.classes,
    }
    yield RecipePrepared(data, graph.notices)
    splits = splits_of(graph, settings.seed)
    with new_folder(out) as folder:
        base = propagated(graph, settings.propagated_dimensions, settings.seed)
        clusters = clusters_of(base, settings.clusters, settings.seed)
        figures: dict[str, Any] = {"linear_propagated": linear_evaluation(base, graph.labels, splits)}
        features = base
        if not propagate_only:
            learning = Learning(graph, base, clusters, settings)
            losses = []
            for step, loss in enumerate(learning.steps(), 1):
                losses.append(loss)
                yield RecipeStep("learning", step, settings.epochs, loss)
            features = learning.embeddings()
            write_encoder(folder / ENCODER_FILE, learning.encoder)
            figures |= {
                "linear_trained": linear_evaluation(features, graph.labels, splits),
                "loss_start": losses[0],
                "loss_end": losses[-1],
                "encoder_apart": _apart(folder / ENCODER_FILE, graph, features),
            }
        write_features(
            folder,
            RECIPE,
            _arrays(graph, features, clusters, splits),
            settings=msgspec.structs.asdict(settings) | {"propagate_only": propagate_only},
            data=data,
            hashes=graph.hashes,
            figures=figures,
        )
        files = {file.name: file.stat().st_size for file in sorted(folder.iterdir())}
    yield RecipeFinished(out, figures, files)


def _arrays(
    graph: Graph, features: Floats, clusters: Integers, splits: dict[str, Integers]
) -> dict[str, npt.NDArray[Any]]:
    offsets, numbers = neighbours(graph)
    return {
        "features": np.ascontiguousarray(features, np.float32),
        "labels": graph.labels,
        **splits,
        "positive_offsets": offsets,
        "positives": numbers,
        "clusters": clusters,
    }


def _apart(path: Path, graph: Graph, features: Floats) -> float | None:
    """How far ONNX Runtime's embeddings are from torch's, at most; None where that would take too much memory.

    Raises:
        SeedTuneError: further than rounding explains.
    """
    if graph.features.shape[0] * graph.features.shape[1] > DENSE_VALUES:
        return None
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    rows = graph.features.toarray().astype(np.float32)
    (found,) = session.run(None, {"features": rows, "edges": graph.edges})
    apart = float(np.abs(found - features).max())
    if not apart <= ALLOWED:
        raise SeedTuneError(
            "ONNX Runtime gives other embeddings than the encoder",
            value=f"{apart:.1e}",
            rule=f"at most {ALLOWED:g}",
            remedy="this is a defect: report the graph",
        )
    return apart
