"""A run under way: the loop, its journal and its logs, one event after another."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass

from seedtune.runtime.batches.types import Feeder
from seedtune.runtime.graphs.state import State
from seedtune.runtime.graphs.types import Graphs
from seedtune.runtime.journal.file import JournalWriter
from seedtune.runtime.loop.taken import DivergedError
from seedtune.runtime.run.conclude import conclude
from seedtune.runtime.run.folder import RunFolder
from seedtune.runtime.run.held_out import HeldOut
from seedtune.runtime.run.listeners.outcome import Outcome
from seedtune.runtime.run.listeners.slow_storage import SlowStorage
from seedtune.runtime.run.listeners.step_log import StepLog
from seedtune.runtime.run.methods.protocol import Method
from seedtune.runtime.run.settings import Settings
from seedtune.runtime.run.step_record import step_record
from seedtune.runtime.run.stopping import EndedBy, Stopping
from seedtune.runtime.telemetry.events import Event, Finished, Listener, Notice, Step
from seedtune.runtime.telemetry.gain import describe_gain
from seedtune.runtime.telemetry.memory import PeakSampler
from seedtune.runtime.telemetry.records import RunResult


@dataclass(kw_only=True)
class Run:
    """A run in a RUN folder that this process holds, ready for its next step; see `run/start.py`.

    ``done`` steps are in ``state``, ``journal`` and ``outcome`` already. ``starts_from_probe`` is whether the state
    began with a linear probe rather than zero. ``stopping`` may end it before its last step. ``started`` is when this
    process began with it, by the monotonic clock, and ``peak`` the most memory it has held since.
    """

    folder: RunFolder
    graphs: Graphs
    settings: Settings
    feeder: Feeder
    held_out: HeldOut | None
    method: Method
    state: State
    journal: JournalWriter
    done: int
    outcome: Outcome
    starts_from_probe: bool
    stopping: Stopping
    started: float
    peak: PeakSampler

    def events(self, stop: Callable[[], bool] = lambda: False) -> Generator[Event, None, None]:
        """Makes the remaining steps and writes every file of the RUN folder; result.json also when it is left early.

        Args:
            stop: asked after each step; True ends the run cleanly, to be resumed later.

        Raises:
            DivergedError: a loss was not finite; all files are written.
            SeedTuneError: a file cannot be written.
        """
        notices: list[str] = []
        with self.journal:
            log = StepLog(self.folder.steps)
            with log:
                slow_storage = SlowStorage(lambda: self.graphs.reading, notices.append)
                try:
                    ended_by = yield from self._making(stop, (log, self.outcome, slow_storage), notices)
                except (DivergedError, GeneratorExit):
                    self._conclude("interruption")
                    raise
                result = self._conclude(ended_by)
        if result.gain is not None:
            yield Notice(describe_gain(result.gain))
        yield Finished(result)

    def _making(
        self, stop: Callable[[], bool], listeners: tuple[Listener, ...], notices: list[str]
    ) -> Generator[Event, None, EndedBy]:
        if self.held_out and self.starts_from_probe:
            yield from self.held_out.untouched(self.state.zero_like())
        yield from self._evaluation()
        if ended_by := self._ended():
            return ended_by
        for taken in self.method.steps(self.settings, self.feeder, self.journal.begin, self.done):
            self.done = taken.step
            event = Step(step_record(taken, self._seconds, self.peak.peak))
            for listener in listeners:
                listener.on(event)
            yield event
            yield from map(Notice, notices)
            notices.clear()
            if stop() and self.done < self.settings.steps:
                return "interruption"
            yield from self._evaluation()
            if ended_by := self._ended():
                # So that the last state is one of those that are chosen from.
                yield from self._evaluation(due=True)
                return ended_by
        return "steps"

    def _ended(self) -> EndedBy | None:
        evaluations = self.held_out.records if self.held_out else ()
        return self.stopping.ended_by(self.done, self.settings.steps, evaluations, self._seconds)

    def _evaluation(self, *, due: bool = False) -> Iterator[Event]:
        if self.done % self.settings.eval_every == 0:
            # Before it is evaluated: whoever reads the evaluation finds the state.
            self._keep()
        elif not due and self.done != self.settings.steps:
            return
        if self.held_out:
            yield from self.held_out.at_step(self.done, self.method.evaluated)

    def _keep(self) -> None:
        self.method.keep(self.done, self.held_out.best_step if self.held_out else None)

    @property
    def _seconds(self) -> float:
        """Since the run began, the time before it was resumed included."""
        return self.outcome.seconds_before + time.monotonic() - self.started

    def _conclude(self, ended_by: EndedBy) -> RunResult:
        self._keep()
        return conclude(
            self.folder,
            self.outcome,
            self.settings,
            self.held_out,
            self.method.evaluated,
            steps=self.done,
            starts_from_probe=self.starts_from_probe,
            seconds=self._seconds,
            peak=self.peak,
            memory=self.graphs.choice,
            ended_by=ended_by,
        )
