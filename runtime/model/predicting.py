"""How a bundle at work is asked for labels."""

from __future__ import annotations

import itertools
from abc import ABC, abstractmethod
from collections.abc import Generator, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from seedtune.runtime.bundle.reader import Bundle
from seedtune.runtime.data.rows import Row, Rows, checked
from seedtune.runtime.data.source import Source
from seedtune.runtime.data.stream import arriving_rows
from seedtune.runtime.errors import SeedTuneError
from seedtune.runtime.generators import result_of
from seedtune.runtime.model.evaluation import Evaluation
from seedtune.runtime.model.feeders import CacheOptions, cache_options
from seedtune.runtime.telemetry.events import Event

# Rows: the path of a data file or a pipe ("-" for standard input), rows that `Model.rows` has read, or rows that are
# there already, each a mapping of fields.
Data = str | Path | Rows | Iterable[Mapping[str, Any]]
# Rows that are answered together: sorted by length among each other, and padded little.
ROWS_AT_ONCE = 256


@dataclass(frozen=True)
class Prediction:
    """What is said of a row.

    Attributes:
        fields: the row.
        label: the name of the likeliest label.
        probabilities: of each label, by its name.
    """

    fields: Mapping[str, str]
    label: str
    probabilities: dict[str, float]


class Predicting(ABC):
    """What a model needs to predict labels, and how it is asked to."""

    @property
    @abstractmethod
    def bundle(self) -> Bundle:
        """The verified bundle."""

    @abstractmethod
    def rows(self, data: Data, *, labelled: bool = True, data_format: str | None = None) -> Rows:
        """The rows of ``data``, checked against the task."""

    @abstractmethod
    def _evaluating(
        self, rows: Rows, rows_per_call: int | None, cache: CacheOptions, want_hidden: bool
    ) -> Generator[Event, None, Evaluation]:
        """Evaluates ``rows``."""

    def predict(self, rows: Iterable[Mapping[str, Any]], *, cache: str | Path | None = None) -> list[dict[str, float]]:
        """The probability of each label for each row, by the label's name.

        Args:
            rows: the fields that the task's template names; labels may be left out.
            cache: as in :meth:`evaluate`.

        Raises:
            SeedTuneError: a row cannot be used, or the task is completion, which has no labels.
        """
        self._require_labels()
        return [each.probabilities for each in self._predicted(self.rows(rows, labelled=False), cache)]

    def predictions(
        self,
        data: Data,
        *,
        data_format: str | None = None,
        rows_at_once: int = ROWS_AT_ONCE,
        cache: str | Path | None = None,
    ) -> Iterator[Prediction]:
        """What is said of each row, one after another; of no more rows than asked for is anything kept.

        Rows that are there already are taken as answers are asked for, and so are JSON lines of standard input, each as
        soon as it is there.

        Args:
            data: rows, or where they are; labels may be left out.
            data_format: as in :meth:`rows`.
            rows_at_once: that are answered together.
            cache: as in :meth:`evaluate`.

        Raises:
            SeedTuneError: a row cannot be used; or the task is completion, which has no labels.
        """
        self._require_labels()
        if rows_at_once < 1:
            raise SeedTuneError("no rows at once", value=rows_at_once, rule="1 or more", remedy="raise it")
        groups = self._groups(data, data_format, rows_at_once)
        return itertools.chain.from_iterable(self._predicted(group, cache) for group in groups)

    def _groups(self, data: Data, data_format: str | None, most: int) -> Iterator[Rows]:
        task = self.bundle.manifest.language_model.task
        if isinstance(data, str | Path):
            source = Source(data, data_format)
            if source.is_stdin and source.format == "jsonl":
                return arriving_rows(source, task, most)
        if isinstance(data, str | Path | Rows):
            every = self.rows(data, labelled=False, data_format=data_format)
            return (Rows(every[first : first + most], every.source) for first in range(0, len(every), most))
        numbered = enumerate(data, 1)
        parts = iter(lambda: list(itertools.islice(numbered, most)), [])
        return (checked(part, "row", task, require_label=False) for part in parts)

    def _predicted(self, rows: Rows, cache: str | Path | None) -> list[Prediction]:
        found = result_of(self._evaluating(rows, None, cache_options(cache, None), False)).probabilities
        assert found is not None
        names = [label.name for label in self.bundle.manifest.language_model.task.labels]
        return [_prediction(row, names, each.tolist()) for row, each in zip(rows, found, strict=True)]

    def _require_labels(self) -> None:
        task = self.bundle.manifest.language_model.task
        if not task.labels:
            raise SeedTuneError(
                "a completion task has no labels to predict",
                value=task.name,
                rule="a classification task",
                remedy="ask it for a text with: seedtune generate; or evaluate it, which gives the loss of responses",
            )


def _prediction(row: Row, names: list[str], probabilities: list[float]) -> Prediction:
    likeliest = names[max(range(len(names)), key=probabilities.__getitem__)]
    return Prediction(row.fields, likeliest, dict(zip(names, probabilities, strict=True)))
