"""What every method of the bench is: a name, and a run on a prepared task that comes to an `Outcome`."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from scipy.special import log_softmax

from lab.accuracy.corpora import PARTS, Corpus
from lab.accuracy.frozen import Frozen, frozen
from lab.accuracy.language_model import LanguageModel, encoded
from seedtune.runtime.task.example import Example


@dataclass(frozen=True)
class Budget:
    """What a method may spend.

    Attributes:
        epochs: passes of a first-order method over the training rows.
        steps: updates of a derivative-free run.
        learning_rate: of every method that has one; None for its own.
    """

    epochs: int = 3
    steps: int = 300
    learning_rate: float | None = None


@dataclass(frozen=True)
class Outcome:
    """What a method came to.

    Attributes:
        accuracy, loss: on the test rows; nats.
        validation_accuracy, validation_loss: on the rows that choose.
        example_passes: rows sent through the part of the model that the method computes; a pass with its gradient, or
            one side of a probe, counts once. Passes that are kept (`frozen`) are not counted again.
        seconds: of learning, the measurement left out.
        correct: one character for every test row, 1 where the answer is right.
        peak_bytes: of resident memory while it learned; None where nothing was learned.
        curve: (example passes, validation loss), where there is one.
        about: whatever else is to be told, such as the learning rate.
    """

    accuracy: float
    loss: float
    validation_accuracy: float
    validation_loss: float
    example_passes: int
    seconds: float
    correct: str
    peak_bytes: int | None = None
    curve: list[tuple[int, float]] = field(default_factory=list)
    about: dict[str, Any] = field(default_factory=dict)

    def as_dict(self) -> dict[str, Any]:
        """For a line of JSON."""
        return asdict(self)


class Prepared:
    """A task at hand: rows as tokens, and what the untouched model makes of them, computed when first asked for.

    Args:
        corpus: the rows.
        model: untouched whenever a method begins and ends.
        entering: the layers that some reach begins with.
        folder: where the model's pass is kept; of this model and these rows alone.
        source: of the model.
    """

    def __init__(
        self, corpus: Corpus, model: LanguageModel, entering: tuple[int, ...], folder: Path, source: str = ""
    ) -> None:
        self.corpus, self.model, self.folder, self.source = corpus, model, folder, source
        self.entering = entering
        compiled = model.task(corpus.task)
        self.words = model.words(compiled.label_word_ids)
        examples = {part: encoded(corpus.rows[part], compiled) for part in PARTS}
        self.examples: list[Example] = [example for part in PARTS for example in examples[part]]
        self.labels = np.array([example.label for example in self.examples])
        ends = np.cumsum([len(examples[part]) for part in PARTS])
        self.part = {part: range(end - len(examples[part]), end) for part, end in zip(PARTS, ends, strict=True)}

    @cached_property
    def frozen(self) -> Frozen:
        """Of all rows, in the order train, validation, test."""
        return frozen(self.model, self.examples, self.entering, self.folder)

    def labels_of(self, part: str) -> np.ndarray:
        """The labels of one part."""
        return self.labels[self.part[part]]

    def outcome(self, scores: dict[str, np.ndarray], example_passes: int, seconds: float, **others: Any) -> Outcome:
        """The outcome for label scores [rows, L] of the parts "validation" and "test"; any constant may be added."""
        validation, test = (measured(scores[part], self.labels_of(part)) for part in ("validation", "test"))
        right = scores["test"].argmax(axis=1) == self.labels_of("test")
        return Outcome(
            *test, *validation, example_passes, seconds, "".join("1" if one else "0" for one in right), **others
        )


class Method(Protocol):
    """One way to come to an accuracy."""

    @property
    def name(self) -> str:
        """In tables, and with it the key of its results."""
        ...

    @property
    def seeded(self) -> bool:
        """Whether a seed changes anything."""
        ...

    def run(self, task: Prepared, seed: int, budget: Budget) -> Outcome:
        """Learns from the training rows and measures; leaves the model as it was."""
        ...

    def settings(self, budget: Budget) -> dict[str, Any]:
        """What of the budget, and of the method's own constants, the outcome depends on."""
        ...


def measured(scores: np.ndarray, labels: np.ndarray) -> tuple[float, float]:
    """(Accuracy, mean loss in nats) of label scores [rows, L]."""
    log_probabilities = log_softmax(scores.astype(np.float64), axis=1)
    losses = -log_probabilities[np.arange(len(labels)), labels]
    return float((scores.argmax(axis=1) == labels).mean()), float(losses.mean())
