"""Draws classifiers by what they get right as pictures are and under attack: robust against natural accuracy."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path


def draw_heads(path: Path, figures: Mapping[str, Mapping[str, float]], title: str) -> None:
    """Writes a PNG.

    Args:
        path: of it.
        figures: way of training -> ``HEAD_clean`` and ``HEAD_pgd`` of each of its classifiers.
        title: above.
    """
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, panel = pyplot.subplots(figsize=(7.2, 4.6))
    markers = {"only": "o", "joint": "D", "robust": "s", "non_robust": "v"}
    for number, (way, found) in enumerate(figures.items()):
        for name in found:
            if not name.endswith("_clean"):
                continue
            head = name.removesuffix("_clean")
            place = 100 * found[name], 100 * found[f"{head}_pgd"]
            label = way if head == "only" else f"{way}, {head.replace('_', '-')}"
            panel.scatter(*place, s=64, marker=markers[head], color=f"C{number}", label=label, zorder=3)
    panel.set_xlabel("accuracy on pictures as they are, %")
    panel.set_ylabel("accuracy under attack, %")
    panel.set_title(title)
    panel.grid(alpha=0.3)
    panel.legend(fontsize=8, loc="center left", bbox_to_anchor=(1.0, 0.5))
    figure.tight_layout()
    figure.savefig(path, dpi=110)
    pyplot.close(figure)
