"""What a run asks of the way it finds its steps."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Sequence
from pathlib import Path
from typing import Any, Protocol

from seedtune.runtime.batches.types import Feeder
from seedtune.runtime.graphs.state import State
from seedtune.runtime.journal.format import Journal
from seedtune.runtime.loop.taken import StepTaken
from seedtune.runtime.run.settings import Settings
from seedtune.runtime.telemetry.events import ChoosingBatchSize, Notice

# Takes the records of one step, which are of the method's own kind; what it returns, if anything, waits for the disk.
Recording = Callable[[Sequence[Any]], Callable[[], None] | None]


class Method(Protocol):
    """Makes steps that move one state."""

    @property
    def evaluated(self) -> State:
        """The state that the steps made so far have led to: what is evaluated, kept and told."""
        ...

    def batch_size(self, settings: Settings, feeder: Feeder) -> Generator[ChoosingBatchSize | Notice, None, int]:
        """The rows of a step where ``settings`` leave them open."""
        ...

    def catch_up(self, journal: Journal, run: Path) -> Journal:
        """Brings the state to where a run stopped that is to go on.

        Args:
            journal: of the run.
            run: its folder.

        Returns:
            ``journal`` as far as the state has it.

        Raises:
            SeedTuneError: the recorded steps are not those that these settings make, or the state was not kept.
        """
        ...

    def steps(self, settings: Settings, feeder: Feeder, record: Recording, first_step: int) -> Iterator[StepTaken]:
        """Makes and records the steps from ``first_step`` (0-based) to the last of ``settings``, one per iteration.

        Args:
            settings: of the run.
            feeder: of the training rows.
            record: puts the records of a step into a journal; a step is told of when they are durable.
            first_step: steps that the state has.

        Raises:
            DivergedError: a loss is not finite.
        """
        ...

    def keep(self, step: int, best: int | None) -> None:
        """Keeps the state after ``step`` steps, and that of the step ``best``, if the journal is not enough.

        Raises:
            SeedTuneError: a file cannot be written.
        """
        ...
