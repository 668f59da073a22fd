"""Accuracy and loss of a state over labelled rows, with the prediction for each."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from seedtune.runtime.batches.types import Feeder
from seedtune.runtime.graphs.mapped import Graph


@dataclass(frozen=True)
class Evaluation:
    """Results in the order of the examples, E of them.

    Attributes:
        losses: [E] float32: cross-entropy over the label words, or the mean over the tokens of the response.
        scores: [E] float32: 1 where the label is the most probable one, else 0; of a completion task the share of the
            response's tokens that are the most probable ones.
        labels: [E] int64, zeros in a completion task.
        probabilities: [E, L] float32 over the label words; None in a completion task.
        hidden: [E, H] float32 what the language-model head reads, or None if it was not asked for.
    """

    losses: npt.NDArray[np.float32]
    scores: npt.NDArray[np.float32]
    labels: npt.NDArray[np.int64]
    probabilities: npt.NDArray[np.float32] | None
    hidden: npt.NDArray[np.float32] | None

    @property
    def predictions(self) -> npt.NDArray[np.int64] | None:
        """The most probable label of each example, [E]; None in a completion task."""
        return None if self.probabilities is None else self.probabilities.argmax(axis=1).astype(np.int64)

    @property
    def correct(self) -> npt.NDArray[np.bool_]:
        """Whether each example has the full score, [E]."""
        return self.scores == 1

    @property
    def accuracy(self) -> float:
        """Mean score."""
        return float(self.scores.mean(dtype=np.float64))

    @property
    def loss(self) -> float:
        """Mean loss."""
        return float(self.losses.mean(dtype=np.float64))


def evaluate(
    graph: Graph,
    state: npt.NDArray[np.float32],
    feeder: Feeder,
    *,
    rows: int,
    want_hidden: bool = False,
    advance: Callable[[int], None] = lambda _count: None,
) -> Evaluation:
    """Runs the eval graph over all examples of ``feeder``.

    Args:
        graph: the eval graph.
        state: [n] float32.
        feeder: makes batches of the rows.
        rows: token rows per call, padding included.
        want_hidden: also collect the hidden states.
        advance: told how many examples each call finished.
    """
    completes = "token_accuracy" in graph.outputs
    outputs = ["loss", "token_accuracy" if completes else "log_probabilities", *(["hidden"] if want_hidden else [])]
    collected: dict[str, npt.NDArray[np.float32]] = {}
    examples = feeder.examples
    batches = feeder.batches(range(len(examples)), rows)
    for index, found in graph.run(outputs, batches, {"state": state}):
        for name, part in zip(outputs, found, strict=True):
            whole = collected.setdefault(name, np.empty((len(examples), *part.shape[1:]), np.float32))
            whole[index] = part
        advance(len(index))
    labels = np.array([example.label for example in examples], np.int64)
    probabilities = None if completes else np.exp(collected["log_probabilities"])
    return Evaluation(
        losses=collected["loss"],
        scores=collected["token_accuracy"]
        if probabilities is None
        else (probabilities.argmax(axis=1) == labels).astype(np.float32),
        labels=labels,
        probabilities=probabilities,
        hidden=collected.get("hidden"),
    )
