"""One trial: a few steps from the start of the run, with settings of their own, and their loss on held-out rows."""

from __future__ import annotations

import contextlib
import statistics
import tempfile
import time
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass
from pathlib import Path

import msgspec
import numpy as np
import numpy.typing as npt

from seedtune.runtime.batches.types import Feeder
from seedtune.runtime.estimators.gradient import Gradient
from seedtune.runtime.estimators.protocol import Estimator
from seedtune.runtime.files import BackgroundSync
from seedtune.runtime.graphs.state import State
from seedtune.runtime.graphs.types import Graphs
from seedtune.runtime.loop.taken import DivergedError
from seedtune.runtime.paired import finite_or_none
from seedtune.runtime.run.held_out import HeldOut
from seedtune.runtime.run.methods.choice import method_name, method_of
from seedtune.runtime.run.methods.protocol import Method
from seedtune.runtime.run.settings import Settings
from seedtune.runtime.telemetry.events import Event, TryingSettings
from seedtune.runtime.telemetry.trials import Trial

# Steps whose time is taken; the one before them maps the weights and sizes the arena.
TIMED_STEPS = 3
# As long as a record of a journal.
RECORD_BYTES = 16
# Of a trial's time its evaluation takes at most this part, of fewer rows if need be, but not of fewer than so many.
EVALUATION_SHARE, FEWEST_ROWS = 1 / 3, 32
# A trial that takes so many times longer than its share, since the machine has become slow, ends early.
OVERTIME = 2.0


@dataclass(frozen=True, kw_only=True)
class Laboratory:
    """What all trials of a run have in common: graphs, rows, the start, and whether to stop.

    ``stop`` is asked after each step; True ends a trial without a result.
    """

    graphs: Graphs
    feeder: Feeder
    held_out: HeldOut | None
    start: State
    folder: Path
    stop: Callable[[], bool]

    @property
    def evaluation_seconds(self) -> float:
        """Of all held-out rows, as it was at the start; 0 without any."""
        return self.held_out.records[-1].seconds if self.held_out else 0.0

    def places(self, seconds: float) -> npt.NDArray[np.int64]:
        """The held-out rows that a trial of ``seconds`` is measured on: evenly spread, the same for all of one length.

        Raises:
            ValueError: there are none.
        """
        if self.held_out is None:
            raise ValueError("there are no held-out rows")
        rows = len(self.held_out)
        share = EVALUATION_SHARE * seconds / max(self.evaluation_seconds, 1e-9)
        count = min(rows, max(FEWEST_ROWS, int(share * rows)))
        return np.arange(count, dtype=np.int64) * rows // count

    def step_seconds(self, settings: Settings, estimator: Estimator | Gradient) -> float | None:
        """The median time of a step, of a few; None where it was stopped.

        Raises:
            DivergedError: not even the first steps have a finite loss.
        """
        taken, began = [], time.perf_counter()
        short = msgspec.structs.replace(settings, steps=TIMED_STEPS + 1)
        for _ in self._steps(self._method(short, estimator), short):
            if self.stop():
                return None
            now = time.perf_counter()
            taken.append(now - began)
            began = now
        return statistics.median(taken[1:])

    def _method(self, settings: Settings, estimator: Estimator | Gradient) -> Method:
        return method_of(settings, estimator, self.graphs.bundle.manifest, self.start.copy(), self.folder)

    def _steps(self, method: Method, settings: Settings) -> Iterator[object]:
        # Recorded as durably as the steps of the run will be, on the same disk: small models wait for it.
        with (
            tempfile.TemporaryFile(dir=self.folder, buffering=0) as scratch,
            contextlib.closing(BackgroundSync(scratch.fileno())) as sync,
        ):

            def record(_records: object) -> Callable[[], None]:
                scratch.write(bytes(RECORD_BYTES))
                return sync.begin()

            yield from method.steps(settings, self.feeder, record, 0)

    def trying(
        self,
        settings: Settings,
        estimator: Estimator | Gradient,
        *,
        steps: int,
        seconds: float,
        places: npt.NDArray[np.int64],
    ) -> Generator[Event, None, Trial | None]:
        """Makes one trial of ``steps`` steps; None where it was stopped.

        Args:
            settings: of the run that it is a trial for; the schedule falls over ``steps``.
            estimator: of ``settings``, open.
            steps: to make.
            seconds: that they should take; it ends early when it takes far longer.
            places: the held-out rows to measure on.
        """
        assert self.held_out is not None
        name, rate = method_name(settings), settings.optimizer.learning_rate
        short = msgspec.structs.replace(settings, steps=steps)
        method, began, times = self._method(short, estimator), time.perf_counter(), [0.0]
        yield TryingSettings(name, rate, 0, steps)
        evaluation = None
        try:
            for done, _ in enumerate(self._steps(method, short), 1):
                times.append(time.perf_counter() - began)
                yield TryingSettings(name, rate, done, steps)
                if self.stop():
                    return None
                if times[-1] > OVERTIME * seconds:
                    break
            evaluation = yield from self.held_out.evaluating(method.evaluated, places)
        except DivergedError:
            pass
        before = self.held_out.beside_start.start_losses[places]
        made = len(times) - 1
        gained = None if evaluation is None else self.held_out.beside_start.gained(evaluation, places)
        diverged = evaluation is None or not np.isfinite(evaluation.losses).all()
        return Trial(
            method=name,
            learning_rate=rate,
            batch_size=settings.batch_size,
            steps=made,
            step_ms=1e3 * statistics.median(np.diff(times).tolist() or [0.0]),
            seconds=time.perf_counter() - began,
            example_passes=made * settings.batch_size * settings.estimator.passes_a_row,
            held_out_rows=len(places),
            loss_start=finite_or_none(float(before.mean(dtype=np.float64))),
            loss=None if evaluation is None else finite_or_none(evaluation.loss),
            accuracy=None if evaluation is None else evaluation.accuracy,
            gain=None if diverged or gained is None else gained.difference.mean,
            gain_half_width=None if diverged or gained is None else finite_or_none(gained.difference.half_width),
            objective="loss" if gained is None else gained.objective,
            objective_start=None if gained is None or gained.objective == "loss" else finite_or_none(gained.start),
        )
