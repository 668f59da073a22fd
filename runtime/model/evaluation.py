"""Accuracy and loss of a state over labelled rows, with the prediction for each."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from seedtune.runtime.batches.types import Batch, Feeder
from seedtune.runtime.generators import result_of
from seedtune.runtime.graphs.types import Graph, Graphs
from seedtune.runtime.telemetry.events import Evaluating
from seedtune.runtime.telemetry.features import Quality


@dataclass(frozen=True)
class Embedded:
    """The embeddings of P rows, [P, d] float32, and their ``labels`` [P] int64."""

    values: npt.NDArray[np.float32]
    labels: npt.NDArray[np.int64]


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
        log_probabilities: [E, L] float32, or None if they were not asked for.
        quality: of heads over features; None for a language model.
        embeddings: of some rows, for a picture; of contrastive embeddings only.
    """

    losses: npt.NDArray[np.float32]
    scores: npt.NDArray[np.float32]
    labels: npt.NDArray[np.int64]
    probabilities: npt.NDArray[np.float32] | None
    hidden: npt.NDArray[np.float32] | None
    log_probabilities: npt.NDArray[np.float32] | None = None
    quality: Quality | None = None
    embeddings: Embedded | None = None

    @property
    def predictions(self) -> npt.NDArray[np.int64] | None:
        """The most probable label of each example, [E]; None in a completion task."""
        return None if self.probabilities is None else self.probabilities.argmax(axis=1).astype(np.int64)

    @property
    def correct(self) -> npt.NDArray[np.bool_]:
        """Whether each example has the full score, [E]."""
        full: npt.NDArray[np.bool_] = self.scores == 1
        return full

    @property
    def accuracy(self) -> float:
        """Mean score."""
        return float(self.scores.mean(dtype=np.float64))

    @property
    def loss(self) -> float:
        """Mean loss."""
        return float(self.losses.mean(dtype=np.float64))


def evaluating(
    graphs: Graphs,
    state: npt.NDArray[np.float32],
    feeder: Feeder,
    *,
    rows: int,
    want_hidden: bool = False,
    want_scores: bool = False,
    places: npt.NDArray[np.int64] | None = None,
    graph: Graph | None = None,
) -> Generator[Evaluating, None, Evaluation]:
    """Runs the eval graph over the rows of ``feeder``.

    Args:
        graphs: of the bundle.
        state: [n] float32.
        feeder: makes batches of the rows.
        rows: token rows per call, padding included.
        want_hidden: also collect the hidden states.
        want_scores: also keep the log-probabilities as they are; of a classification task only.
        places: of the rows, if not all of them are wanted; results are in this order.
        graph: the eval graph, where it is open; else it is opened for this evaluation only.
    """
    scores = graphs.bundle.manifest.language_model.scores
    outputs = ["loss", scores, *(["hidden"] if want_hidden else [])]
    chosen = np.arange(len(feeder)) if places is None else places
    total = len(chosen)
    collected: dict[str, npt.NDArray[np.float32]] = {}
    labels = np.zeros(total, np.int64)
    batches = _noting_labels(feeder.batches(chosen, rows), labels)
    done = 0
    yield Evaluating(done, total)
    for index, found in (graph or graphs.open("eval")).run(outputs, batches, {"state": state}):
        for name, part in zip(outputs, found, strict=True):
            whole = collected.setdefault(name, np.empty((total, *part.shape[1:]), np.float32))
            whole[index] = part
        done += len(index)
        yield Evaluating(done, total)
    probabilities = np.exp(collected[scores]) if scores == "log_probabilities" else None
    return Evaluation(
        losses=collected["loss"],
        scores=collected[scores]
        if probabilities is None
        else (probabilities.argmax(axis=1) == labels).astype(np.float32),
        labels=labels,
        probabilities=probabilities,
        hidden=collected.get("hidden"),
        log_probabilities=collected[scores] if want_scores else None,
    )


def evaluate(
    graphs: Graphs, state: npt.NDArray[np.float32], feeder: Feeder, *, rows: int, want_hidden: bool = False
) -> Evaluation:
    """:func:`evaluating` without a word on the way."""
    return result_of(evaluating(graphs, state, feeder, rows=rows, want_hidden=want_hidden))


def _noting_labels(batches: Iterator[Batch], labels: npt.NDArray[np.int64]) -> Iterator[Batch]:
    """Passes ``batches`` on, and puts the labels that they carry into ``labels``."""
    for batch in batches:
        if "label" in batch.arrays:
            labels[batch.index] = batch.arrays["label"]
        yield batch
        del batch
