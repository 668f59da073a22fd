"""The scores of both sides, which a probe graph of a classification task gives beside its losses."""

from __future__ import annotations

from seedtune.runtime.bundle.objective import LanguageModel
from seedtune.runtime.bundle.reader import Bundle
from seedtune.runtime.errors import SeedTuneError
from seedtune.runtime.graphs.types import Graph

# Log-probabilities over the label words at both sides, [B, L] float32 each.
SCORES = ("log_probabilities_plus", "log_probabilities_minus")


def require_scores(graph: Graph, bundle: Bundle, needed_by: str) -> None:
    """Refuses a probe graph without scores.

    Args:
        graph: the probe graph.
        bundle: whose it is.
        needed_by: the option that needs them, as on the command line.

    Raises:
        SeedTuneError: the task is completion, or the bundle was exported before probe graphs gave scores.
    """
    if set(SCORES) <= set(graph.outputs):
        return
    objective = bundle.manifest.objective
    labelled = isinstance(objective, LanguageModel) and objective.task.labels
    raise SeedTuneError(
        "the probe graph gives no scores of labels",
        file=bundle.path,
        value=f"{needed_by}, {objective.summary}",
        rule=f"{needed_by} with a classification task, exported by this version",
        remedy="export the bundle again"
        if labelled
        else "leave the option out: a completion task has no labels, and heads over features have losses of their own",
    )
