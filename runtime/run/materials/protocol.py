"""What a run asks of its material, whatever its rows are: decided by the objective of the bundle and nowhere else."""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from typing import Protocol

from seedtune.runtime.batches.types import Feeder
from seedtune.runtime.graphs.types import Graphs
from seedtune.runtime.run.folder import RunFolder
from seedtune.runtime.run.held_out import HeldOut
from seedtune.runtime.run.settings import Settings
from seedtune.runtime.start.linear_probe import Probe
from seedtune.runtime.telemetry.events import CachingContexts, Event, Notice
from seedtune.runtime.telemetry.records import DataInfo, ModelInfo, TaskInfo

# What opening a feeder tells, and what passes it on within the time that a budget leaves for it.
Opening = Generator[CachingContexts | Notice, None, Feeder]
Watching = Callable[[Opening], Opening]


class Material(Protocol):
    """The rows of a run, read and checked."""

    @property
    def data(self) -> DataInfo:
        """What run.json says of the rows, and what a resumed run must have again."""
        ...

    @property
    def model(self) -> ModelInfo:
        """What run.json says of what is tuned."""
        ...

    @property
    def task(self) -> TaskInfo:
        """What run.json says of what is learnt."""
        ...

    @property
    def notices(self) -> Sequence[str]:
        """What a person should know of the rows."""
        ...

    def graphs(self, settings: Settings, *, resumed: bool) -> tuple[Graphs, Settings]:
        """The graphs, within the memory limit if there is one, and how many rows a call then has.

        Raises:
            SeedTuneError: the limit is too small, or there can be none.
        """
        ...

    def opening(
        self, graphs: Graphs, folder: RunFolder, settings: Settings, watching: Watching
    ) -> Generator[Event, None, tuple[Feeder, HeldOut | None]]:
        """What feeds the graphs with the rows to learn from, and the held-out rows."""
        ...

    def start(self, graphs: Graphs, settings: Settings, feeder: Feeder) -> Generator[Event, None, Probe | None]:
        """What the head of a new run starts from; None for zero."""
        ...
