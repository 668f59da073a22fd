"""Steps along noise: two losses a probe, and the state follows from the journal."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from pathlib import Path

from seedtune.runtime.batches.sampler import rows_of
from seedtune.runtime.batches.types import Feeder
from seedtune.runtime.bundle.manifest import Manifest
from seedtune.runtime.errors import SeedTuneError
from seedtune.runtime.estimators.gauss_newton import GaussNewtonSettings
from seedtune.runtime.estimators.protocol import Estimator
from seedtune.runtime.graphs.state import State
from seedtune.runtime.journal.format import Journal
from seedtune.runtime.loop.steps import Taken, tune
from seedtune.runtime.optimizers.protocol import Optimizer, OtherStepError
from seedtune.runtime.run.choose_batch import batch_size_of
from seedtune.runtime.run.methods.protocol import Recording
from seedtune.runtime.run.settings import Settings
from seedtune.runtime.telemetry.events import ChoosingBatchSize, Notice

# As many as there are directions: one run of 64 rows came as far in 26,000 example passes as rounds of 512 rows did
# elsewhere in 65,000 (docs/guides/accuracy.md, "Other ways to probe"). A guess beyond that.
ROWS_TO_SOLVE_OF = 64


class ByProbes:
    """:class:`~seedtune.runtime.run.methods.protocol.Method` over an estimator and an optimizer of probes."""

    def __init__(self, manifest: Manifest, estimator: Estimator, optimizer: Optimizer, state: State) -> None:
        self._manifest = manifest
        self._estimator = estimator
        self._optimizer = optimizer
        self._state = state

    @property
    def evaluated(self) -> State:
        """See `Method`."""
        return self._optimizer.evaluated(self._state)

    def batch_size(self, settings: Settings, feeder: Feeder) -> Generator[ChoosingBatchSize | Notice, None, int]:
        """See `Method`: by a short measurement with scope suffix, but a constant where a step is solved of rows."""
        if isinstance(settings.estimator, GaussNewtonSettings):
            yield from ()
            return settings.batch_size or min(ROWS_TO_SOLVE_OF, len(feeder))
        return (yield from self._measured(settings, feeder))

    def _measured(self, settings: Settings, feeder: Feeder) -> Generator[ChoosingBatchSize | Notice, None, int]:
        return batch_size_of(settings, self._manifest, self._estimator, feeder)

    def catch_up(self, journal: Journal, run: Path) -> Journal:
        """See `Method`; the optimizer checks that it would take the recorded steps again."""
        for step in range(journal.steps):
            records = journal.of_step(step)
            estimate = self._estimator.estimate_from(records["loss_plus"], records["loss_minus"])
            try:
                self._optimizer.see(step, estimate, records["coefficient"])
            except OtherStepError as error:
                raise SeedTuneError(
                    f"step {step + 1} of the journal was not taken by these settings",
                    file=run,
                    value=error.found.tolist(),
                    rule=f"coefficient {error.expected.tolist()}",
                    remedy="resume with the version of seedtune that began the run, or start a new run",
                ) from error
        self._optimizer.move(self._state, journal.seeds(), journal.records["coefficient"])
        return journal

    def steps(self, settings: Settings, feeder: Feeder, record: Recording, first_step: int) -> Iterator[Taken]:
        """See `Method`."""
        return tune(
            estimator=self._estimator,
            optimizer=self._optimizer,
            rows_of=rows_of(feeder, settings.seed, settings.batch_size),
            feeder=feeder,
            state=self._state,
            record=record,
            run_seed=settings.seed,
            first_step=first_step,
            steps=settings.steps,
            limit=settings.tokens_per_call,
        )

    def keep(self, step: int, best: int | None) -> None:
        """See `Method`: the journal is enough."""
