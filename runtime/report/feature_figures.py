"""The charts of heads over features: embeddings before and after, and how robust each head is."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

import numpy as np

from seedtune.runtime.arrays import Array
from seedtune.runtime.report.embeddings import Floats, neighbour_plane, principal_plane
from seedtune.runtime.report.figures import PALETTE, draw_line, empty_figure
from seedtune.runtime.report.rendering import Chart
from seedtune.runtime.telemetry.features import FeatureResult

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

# Classes beyond the colours are told apart by these too.
SYMBOLS = ("circle", "square", "diamond", "cross", "triangle-up", "star")
DIGITS = 3


def feature_charts(features: FeatureResult | None, embeddings: Mapping[str, Array], tsne: bool) -> list[Chart]:
    """The charts of a run of heads; none of another.

    Args:
        features: how good they are, before and after.
        embeddings: before and after, of contrastive heads.
        tsne: also draw them by t-SNE.

    Raises:
        SeedTuneError: scikit-learn is not installed, and ``tsne`` is asked for.
    """
    charts: list[Chart] = []
    planes: list[tuple[str, str, Callable[[Array], Floats]]] = [("PCA", "their two principal axes", principal_plane)]
    if tsne:
        planes.append(("t-SNE", "a plane that keeps neighbours together", neighbour_plane))
    for name, how, plane in planes if embeddings else ():
        for which, when in (("start", "before"), ("best", "after")):
            figure = _plane_figure(plane(embeddings[which]), embeddings["labels"])
            caption = f"Up to 2,000 labelled rows at unit length on {how}, {when} the run; a colour and sign a class."
            charts.append(Chart(f"{name.lower()}-{which}", f"Embeddings {when} ({name})", caption, figure))
    if features is not None and any(head.adversarial is not None for head in features.after.heads):
        caption = "Test rows: accuracy on clean pictures (across) and on adversarial ones (up), head by head."
        charts.append(Chart("robustness", "Robust against natural accuracy", caption, _robustness_figure(features)))
    return charts


def _plane_figure(plane: Floats, labels: Array) -> Figure:
    figure = empty_figure("second axis", "first axis")
    for place, label in enumerate(np.unique(labels).tolist()):
        chosen = np.round(plane[labels == label], DIGITS)
        symbol = SYMBOLS[place // len(PALETTE) % len(SYMBOLS)]
        marker = {"symbol": symbol, "size": 5, "opacity": 0.7}
        colour = PALETTE[place % len(PALETTE)]
        x, y = chosen.T.tolist()
        draw_line(figure, x, y, str(label), colour, mode="markers", marker=marker)
    return figure


def _robustness_figure(features: FeatureResult) -> Figure:
    figure = empty_figure("accuracy on adversarial rows, %", "accuracy on clean rows, %")
    for place, (before, after) in enumerate(zip(features.before.heads, features.after.heads, strict=True)):
        natural = [100 * head.natural for head in (before, after)]
        adversarial = [None if head.adversarial is None else 100 * head.adversarial for head in (before, after)]
        marker = {"size": [7, 12], "symbol": [f"{SYMBOLS[place]}-open", SYMBOLS[place]]}
        draw_line(figure, natural, adversarial, after.head, PALETTE[place], mode="lines+markers", marker=marker)
    return figure
