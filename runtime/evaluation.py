"""Accuracy and loss of a state over labelled rows, with the prediction for each."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import onnxruntime

from seedtune.runtime.data.batches import Feeder


@dataclass(frozen=True)
class Evaluation:
    """Results in the order of the examples, E of them.

    Attributes:
        losses: [E] float32, cross-entropy over the label words.
        probabilities: [E, L] float32 over the label words.
        labels: [E] int64.
        hidden: [E, H] float32 what the language-model head reads, or None if it was not asked for.
    """

    losses: npt.NDArray[np.float32]
    probabilities: npt.NDArray[np.float32]
    labels: npt.NDArray[np.int64]
    hidden: npt.NDArray[np.float32] | None

    @property
    def predictions(self) -> npt.NDArray[np.int64]:
        """The most probable label of each example, [E]."""
        return self.probabilities.argmax(axis=1).astype(np.int64)

    @property
    def correct(self) -> npt.NDArray[np.bool_]:
        """Whether each prediction is the label, [E]."""
        return self.predictions == self.labels

    @property
    def accuracy(self) -> float:
        """Share of correct predictions."""
        return float(self.correct.mean())

    @property
    def loss(self) -> float:
        """Mean loss."""
        return float(self.losses.mean(dtype=np.float64))


def evaluate(
    session: onnxruntime.InferenceSession,
    state: npt.NDArray[np.float32],
    feeder: Feeder,
    *,
    rows: int,
    want_hidden: bool = False,
    advance: Callable[[int], None] = lambda _count: None,
) -> Evaluation:
    """Runs the eval graph over all examples of ``feeder``.

    Args:
        session: of the eval graph.
        state: [n] float32.
        feeder: makes batches of the rows.
        rows: token rows per call, padding included.
        want_hidden: also collect the hidden states.
        advance: told how many examples each call finished.
    """
    outputs = ["loss", "log_probabilities", *(["hidden"] if want_hidden else [])]
    collected: dict[str, npt.NDArray[np.float32]] = {}
    examples = feeder.examples
    for batch in feeder.batches(range(len(examples)), rows):
        found = session.run(outputs, {**batch.feeds, "state": state})
        for name, part in zip(outputs, found, strict=True):
            whole = collected.setdefault(name, np.empty((len(examples), *part.shape[1:]), np.float32))
            whole[batch.index] = part
        advance(len(batch.index))
    return Evaluation(
        losses=collected["loss"],
        probabilities=np.exp(collected["log_probabilities"]),
        labels=np.array([example.label for example in examples], np.int64),
        hidden=collected.get("hidden"),
    )
