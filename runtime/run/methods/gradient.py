"""Steps along exact gradients: states are kept as files, and a kill costs the steps since the last one."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from pathlib import Path

import numpy as np

from seedtune.runtime.batches.sampler import rows_of
from seedtune.runtime.batches.types import Feeder
from seedtune.runtime.estimators.gradient import Gradient
from seedtune.runtime.graphs.state import State
from seedtune.runtime.journal.format import Journal
from seedtune.runtime.loop.descent import Descended, descend
from seedtune.runtime.model.kept_states import KeptStates
from seedtune.runtime.optimizers.adamw import AdamW
from seedtune.runtime.run.methods.protocol import Recording
from seedtune.runtime.run.settings import Settings
from seedtune.runtime.telemetry.events import ChoosingBatchSize, Notice

# A gradient tells of every parameter, so few rows a step are enough.
BATCH_SIZE = 16


class ByGradient:
    """:class:`~seedtune.runtime.run.methods.protocol.Method` over the gradient graph and AdamW."""

    def __init__(self, gradient: Gradient, optimizer: AdamW, state: State, kept: KeptStates) -> None:
        self._gradient = gradient
        self._optimizer = optimizer
        self._state = state
        self._kept = kept

    @property
    def evaluated(self) -> State:
        """See `Method`: the last state."""
        return self._state

    def batch_size(self, settings: Settings, feeder: Feeder) -> Generator[ChoosingBatchSize | Notice, None, int]:
        """See `Method`: a constant."""
        yield from ()
        return settings.batch_size or min(BATCH_SIZE, len(feeder))

    def catch_up(self, journal: Journal, run: Path) -> Journal:
        """See `Method`: to the latest state that was kept."""
        latest = max((step for step in self._kept.steps() if step <= journal.steps), default=0)
        if latest:
            state, first_moment, second_moment = self._kept.read(latest, journal)
            self._state.values[:] = state
            self._optimizer.restore(latest, first_moment, second_moment)
        return journal.until(latest)

    def steps(self, settings: Settings, feeder: Feeder, record: Recording, first_step: int) -> Iterator[Descended]:
        """See `Method`."""
        return descend(
            gradient=self._gradient,
            optimizer=self._optimizer,
            rows_of=rows_of(feeder, settings.seed, settings.batch_size),
            feeder=feeder,
            values=self._state.values,
            record=record,
            first_step=first_step,
            steps=settings.steps,
            limit=settings.tokens_per_call,
        )

    def keep(self, step: int, best: int | None) -> None:
        """See `Method`."""
        # Where nothing was done yet there is nothing to keep.
        if step and step not in self._kept.steps():
            zero = np.zeros_like(self._state.values)
            first, second = self._optimizer.first_moment, self._optimizer.second_moment
            self._kept.write(
                step, self._state.values, zero if first is None else first, zero if second is None else second
            )
        self._kept.keep_only({step} if best is None else {step, best})
