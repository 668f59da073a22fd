"""Draws embeddings of nodes in the plane: by PCA above, by t-SNE below, a colour a class."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import numpy.typing as npt
from sklearn.decomposition import PCA
from sklearn.manifold import TSNE
from threadpoolctl import threadpool_limits

SIDE_INCHES = 3.6


def draw_embeddings(
    path: Path, embeddings: Mapping[str, npt.NDArray[np.float32]], labels: npt.NDArray[np.int64], title: str
) -> None:
    """Writes a PNG.

    Args:
        path: of it.
        embeddings: name -> [N, d], a column each.
        labels: [N]; nodes below 0 are left out.
        title: above all.
    """
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    known = labels >= 0
    figure, axes = pyplot.subplots(
        2, len(embeddings), figsize=(SIDE_INCHES * len(embeddings), 2 * SIDE_INCHES), squeeze=False
    )
    for column, (name, values) in enumerate(embeddings.items()):
        rows = values[known] / np.maximum(np.linalg.norm(values[known], axis=1, keepdims=True), 1e-12)
        with threadpool_limits(1):
            planes = {
                "PCA": PCA(2, random_state=0).fit_transform(rows),
                "t-SNE": TSNE(2, random_state=0, init="pca", perplexity=30).fit_transform(rows),
            }
        for row, (way, plane) in enumerate(planes.items()):
            panel = axes[row, column]
            panel.scatter(plane[:, 0], plane[:, 1], c=labels[known], cmap="tab10", s=3, linewidths=0)
            panel.set_xticks([])
            panel.set_yticks([])
            panel.set_title(f"{name}, {way}", fontsize=10)
            for spine in panel.spines.values():
                spine.set_visible(False)
    figure.suptitle(title)
    figure.tight_layout()
    figure.savefig(path, dpi=110)
    pyplot.close(figure)
