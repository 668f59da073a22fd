"""What happens while a model is tuned or evaluated: the closed union that work yields and that listeners are told.

The order of a run is Prepared, then CachingContexts and ChoosingBatchSize as far as they are needed, then Step,
Evaluating and Evaluated in turns, and Finished last. With a budget the start is evaluated first, and TryingSettings and
Planned come before the steps. A Notice may come anywhere. The engine for the JVM has them too, but those of a budget.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from seedtune.runtime.telemetry.records import EvaluationRecord, RunResult, StepRecord
from seedtune.runtime.telemetry.trials import Expectation


@dataclass(frozen=True)
class Prepared:
    """Everything was read and checked.

    Attributes:
        settings: name -> value, as in run.json; a batch size of 0 is still to be chosen.
        steps: steps that the run will have at its end.
    """

    settings: Mapping[str, int | float | str]
    steps: int


@dataclass(frozen=True)
class CachingContexts:
    """``done`` of ``total`` rows of the split ``name`` have their keys and values in the cache."""

    name: str
    done: int
    total: int


@dataclass(frozen=True)
class ChoosingBatchSize:
    """``done`` of ``total`` probes of the measurement are made."""

    done: int
    total: int


@dataclass(frozen=True)
class TryingSettings:
    """``done`` of ``total`` steps of a trial are made, of ``method`` at ``learning_rate``."""

    method: str
    learning_rate: float
    done: int
    total: int


@dataclass(frozen=True)
class Planned:
    """What was left out is chosen: ``settings`` as of :class:`Prepared`, and what a run with a budget expects."""

    settings: Mapping[str, int | float | str]
    expected: Expectation


@dataclass(frozen=True)
class Evaluating:
    """``done`` of ``total`` rows are evaluated."""

    done: int
    total: int


@dataclass(frozen=True)
class Step:
    """One step was made; ``record`` is its line in steps.jsonl."""

    record: StepRecord


@dataclass(frozen=True)
class Evaluated:
    """The held-out rows were evaluated; ``record`` is its line in evaluations.jsonl."""

    record: EvaluationRecord


@dataclass(frozen=True)
class Notice:
    """Something that a person should know."""

    text: str


@dataclass(frozen=True)
class Finished:
    """The run ended, for now or for good; ``result`` is result.json."""

    result: RunResult


Event = (
    Prepared
    | CachingContexts
    | ChoosingBatchSize
    | TryingSettings
    | Planned
    | Evaluating
    | Step
    | Evaluated
    | Notice
    | Finished
)


class Listener(Protocol):
    """Is told what happens, and asks nothing back."""

    def on(self, event: Event) -> None:
        """Takes note of ``event``."""
        ...
