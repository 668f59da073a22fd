"""Accuracy and loss of a state of heads over the rows that their bundle brings."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Generator, Iterator

import numpy as np
import numpy.typing as npt

from seedtune.runtime.batches.types import Batch, CoupledFeeder, Feeder
from seedtune.runtime.bundle.heads import Contrastive, RobustHeads
from seedtune.runtime.errors import SeedTuneError
from seedtune.runtime.estimators.objectives import without_gradient
from seedtune.runtime.graphs.types import Graph, Graphs
from seedtune.runtime.heads.array_rows import ArrayRows
from seedtune.runtime.heads.coupled import CoupledRows
from seedtune.runtime.heads.linear_evaluation import can_be_learnt, linear_evaluation
from seedtune.runtime.heads.refused import refuse_what_is_of_text
from seedtune.runtime.heads.rows import NONE, HeadRows, open_rows
from seedtune.runtime.model.evaluation import Embedded, Evaluation
from seedtune.runtime.telemetry.events import Evaluating
from seedtune.runtime.telemetry.features import HeadScore, Quality, Score

Floats = npt.NDArray[np.float32]
Integers = npt.NDArray[np.int64]
# The group that embeddings are judged by is that of a step which no run comes to.
SEED, STEP = 0, 2**32 - 1
ROWS_AT_ONCE, ANCHORS_AT_ONCE = 4096, 512
# Rows whose embeddings are kept for a picture.
ROWS_OF_PICTURE = 2000
# Of the graph's predictions, in their order.
HEADS = ("robust", "non-robust", "joint")


class HeadExam(ABC):
    """What a state of heads is judged by.

    Attributes:
        held_out: the validation rows, [E], by which the best state is chosen; none where nothing can be judged.
    """

    held_out: Integers

    @property
    @abstractmethod
    def feeder(self) -> Feeder:
        """What a step is fed."""

    @abstractmethod
    def evaluating(
        self, graphs: Graphs, state: Floats, places: Integers | None = None
    ) -> Generator[Evaluating, None, Evaluation]:
        """Losses, probabilities and quality at ``state``, in the order of the held-out rows.

        Args:
            graphs: of the bundle.
            state: [n].
            places: of the held-out rows, if not all of them are wanted.
        """


def exam_of(rows: HeadRows) -> HeadExam:
    """That of the loss of the bundle."""
    loss = rows.objective.loss
    return ContrastiveExam(rows, loss) if isinstance(loss, Contrastive) else RobustExam(rows, loss)


class ContrastiveExam(HeadExam):
    """Linear evaluation on the labelled rows, and the contrastive loss of the validation rows as anchors."""

    def __init__(self, rows: HeadRows, loss: Contrastive) -> None:
        self._rows = rows
        self._coupled = CoupledRows(rows, loss)
        self._splits = {name: rows.split(name) for name in ("train", "validation", "test")}
        judged = can_be_learnt(rows.labels[self._splits["train"]], rows.objective.classes)
        self.held_out = self._splits["validation"] if judged else np.empty(0, np.int64)

    @property
    def feeder(self) -> CoupledFeeder:
        """See `HeadExam`."""
        return self._coupled

    def evaluating(
        self, graphs: Graphs, state: Floats, places: Integers | None = None
    ) -> Generator[Evaluating, None, Evaluation]:
        """See `HeadExam`."""
        chosen = np.arange(len(self.held_out)) if places is None else places
        yield Evaluating(0, len(chosen))
        graph = graphs.open("eval")
        losses = self._losses(graph, state, chosen)
        known = np.concatenate([self._splits[name] for name in ("train", "validation", "test")])
        found = self.embeddings(graph, state, known)
        train, validation, test = (len(self._splits[name]) for name in ("train", "validation", "test"))
        labels = self._rows.labels[known]
        scores = linear_evaluation(found[:train], labels[:train], found[train:], self._rows.objective.classes)
        yield Evaluating(len(chosen), len(chosen))
        probabilities = np.exp(scores[:validation])[chosen]
        truth = labels[train : train + validation]
        quality = Quality(
            validation=score_of(scores[:validation], truth),
            test=score_of(scores[validation:], labels[train + validation :]) if test else None,
        )
        return Evaluation(
            losses=losses,
            scores=(probabilities.argmax(axis=1) == truth[chosen]).astype(np.float32),
            labels=truth[chosen],
            probabilities=probabilities,
            hidden=None,
            quality=quality,
            embeddings=self._shown(found, labels),
        )

    def _shown(self, embeddings: Floats, labels: Integers) -> Embedded:
        """Of all rows, or of as many as a picture can have, evenly spread."""
        count = min(len(embeddings), ROWS_OF_PICTURE)
        places = np.arange(count, dtype=np.int64) * len(embeddings) // count
        return Embedded(embeddings[places], labels[places])

    def _losses(self, graph: Graph, state: Floats, chosen: Integers) -> Floats:
        positives = self._coupled.positives_of(self.held_out, SEED, STEP)[chosen]
        anchors, negatives = self.held_out[chosen], self._coupled.negatives(SEED, STEP)
        firsts = range(0, len(anchors), ANCHORS_AT_ONCE)
        groups = (
            np.concatenate([anchors[first:][:ANCHORS_AT_ONCE], positives[first:][:ANCHORS_AT_ONCE], negatives])
            for first in firsts
        )
        batches = (batch for group in groups for batch in self._coupled.batches(group, len(group)))
        parts = [found for _, (found,) in graph.run(["loss"], batches, {"state": state})]
        return np.concatenate(parts) if parts else np.empty(0, np.float32)

    def embeddings(self, graph: Graph, state: Floats, places: Integers) -> Floats:
        """The embedding of each row at ``places`` [M] by the eval graph: [M, d]; the same bits however often."""

        def batches() -> Iterator[Batch]:
            for first in range(0, len(places), ROWS_AT_ONCE):
                yield self._coupled.alone(places[first : first + ROWS_AT_ONCE])

        return np.concatenate([found for _, (found,) in graph.run(["embeddings"], batches(), {"state": state})])


class RobustExam(HeadExam):
    """Loss of the validation rows, and what each head says of validation and test rows and of their twins."""

    def __init__(self, rows: HeadRows, loss: RobustHeads) -> None:
        self._rows = rows
        self.held_out = rows.split("validation")
        self._feeder = ArrayRows(rows, rows.split("train"))

    @property
    def feeder(self) -> Feeder:
        """See `HeadExam`."""
        return self._feeder

    def evaluating(
        self, graphs: Graphs, state: Floats, places: Integers | None = None
    ) -> Generator[Evaluating, None, Evaluation]:
        """See `HeadExam`."""
        chosen = self.held_out if places is None else self.held_out[places]
        test = self._rows.split("test")
        total = len(chosen) + len(test)
        yield Evaluating(0, total)
        graph = graphs.open("eval")
        losses, log_probabilities, _ = self._found(graph, state, chosen)
        yield Evaluating(len(chosen), total)
        _, of_test, said = self._found(graph, state, test)
        yield Evaluating(total, total)
        labels = self._rows.labels
        quality = Quality(
            validation=score_of(log_probabilities, labels[chosen]),
            test=score_of(of_test, labels[test]),
            heads=tuple(self._scores(said, test)),
        )
        probabilities = np.exp(log_probabilities)
        return Evaluation(
            losses=losses,
            scores=(probabilities.argmax(axis=1) == labels[chosen]).astype(np.float32),
            labels=labels[chosen],
            probabilities=probabilities,
            hidden=None,
            quality=quality,
        )

    def _found(self, graph: Graph, state: Floats, places: Integers) -> tuple[Floats, Floats, Integers]:
        """Losses [M], log-probabilities of the joint head [M, C], and what the heads say [M, 6]."""
        names = ["loss", "log_probabilities", "predictions"]
        batches = ArrayRows(self._rows, places).batches(np.arange(len(places)), ROWS_AT_ONCE)
        parts = [found for _, found in graph.run(names, batches, {"state": state})]
        losses, scores, said = (np.concatenate(part) for part in zip(*parts, strict=True))
        return losses, scores, said

    def _scores(self, said: Integers, places: Integers) -> Iterator[HeadScore]:
        labels, targets = self._rows.labels[places], self._rows.arrays["adversarial_targets"][places]
        twins = targets != NONE
        for number, head in enumerate(HEADS):
            clean, adversarial = said[:, number], said[twins, len(HEADS) + number]
            yield HeadScore(
                head=head,
                natural=float((clean == labels).mean()),
                adversarial=float((adversarial == labels[twins]).mean()) if twins.any() else None,
                target=float((adversarial == targets[twins]).mean()) if twins.any() else None,
            )


def score_of(log_probabilities: Floats, labels: Integers) -> Score:
    """How well ``log_probabilities`` [M, C], M above 0, find ``labels`` [M]."""
    return Score(
        accuracy=1.0 - without_gradient("accuracy", log_probabilities, labels),
        macro_f1=1.0 - without_gradient("f1", log_probabilities, labels),
        rows=len(labels),
    )


def evaluating_heads(
    graphs: Graphs, state: Floats, data: object, memory_limit_bytes: int | None
) -> Generator[Evaluating, None, Evaluation]:
    """The evaluation of a bundle of heads on the rows that it brings.

    Args:
        graphs: of the bundle.
        state: [n].
        data: None; other rows are refused.
        memory_limit_bytes: None; a limit is refused.

    Raises:
        SeedTuneError: as said, or the rows are damaged or have too few labels.
    """
    given = {"--data": data, "--memory-limit": memory_limit_bytes}
    refuse_what_is_of_text(given, graphs.bundle.path, "seedtune eval RUN")
    rows = open_rows(graphs.bundle)
    exam = exam_of(rows)
    if not len(exam.held_out):
        raise SeedTuneError(
            "there is nothing to evaluate by",
            file=rows.path,
            value=f"{int((rows.labels != NONE).sum())} rows with a label",
            rule="two labelled training rows of each class, and a validation row",
            remedy="export features with labels",
        )
    return (yield from exam.evaluating(graphs, state))
