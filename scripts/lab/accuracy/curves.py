"""Curves of validation loss against example passes, one picture a task."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from lab.accuracy.results import Result


def drawn(results: Sequence[Result], folder: Path) -> list[str]:
    """Draws the curves of ``results`` into ``folder``, seeds of a method in one colour; returns the files' names.

    Nothing is drawn without matplotlib, which only measurements need.
    """
    try:
        import matplotlib
    except ModuleNotFoundError:
        return []
    matplotlib.use("Agg")
    from matplotlib import pyplot

    folder.mkdir(parents=True, exist_ok=True)
    files = []
    for task in dict.fromkeys(result.task for result in results):
        own = [result for result in results if result.task == task]
        names = list(dict.fromkeys(result.method for result in own))
        figure, axes = pyplot.subplots(figsize=(7, 4))
        for result in own:
            passes, losses = zip(*result.outcome["curve"], strict=True)
            label = result.method if result.seed == 0 else None
            axes.plot(passes, losses, marker=".", color=f"C{names.index(result.method)}", label=label)
        axes.set(title=task, xlabel="example passes", ylabel="validation loss (nats)")
        axes.legend()
        figure.tight_layout()
        file = folder / f"{task}.png"
        figure.savefig(file, dpi=120)
        pyplot.close(figure)
        files.append(str(file))
    return files
