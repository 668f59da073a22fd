"""The search: steps of the loop with a state a picture, until another class leads, or the queries are spent.

A picture is found at the first step one of whose sides has the loss 0: what is kept of it is the state at that side,
``fl(state + epsilon z)`` or ``fl(state - epsilon z)``, which the journal's losses, seeds and coefficients make again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from seedtune.runtime.batches.types import Batch
from seedtune.runtime.errors import SeedTuneError
from seedtune.runtime.estimators.protocol import Estimate, Floats
from seedtune.runtime.estimators.two_sided import TwoSided
from seedtune.runtime.graphs.state import State
from seedtune.runtime.graphs.types import Graph
from seedtune.runtime.journal.format import Journal, probe_seed
from seedtune.runtime.journal.records import Record
from seedtune.runtime.loop.steps import tune
from seedtune.runtime.noise import rademacher
from seedtune.runtime.optimizers.protocol import Optimizer
from seedtune.runtime.optimizers.settings import optimizer_of
from seedtune.runtime.scan.feeder import ImageFeeder
from seedtune.runtime.scan.opening import Opening, Still


class Findings:
    """Which pictures were found, where, and at which state.

    Attributes:
        step: [G] at which it was found, from 1; 0 while it was not.
        side: [G] of that step: 1 or -1.
        loss: [G] the least so far: 0 of those that were found.
        states: [G, n] where that was.
    """

    def __init__(self, groups: int, parameters: int) -> None:
        self.step = np.zeros(groups, np.int64)
        self.side = np.zeros(groups, np.int64)
        self.loss = np.full(groups, np.inf, np.float32)
        self.states = np.zeros((groups, parameters), np.float32)

    @property
    def open(self) -> npt.NDArray[np.bool_]:
        """[G] those that are still looked for."""
        still: npt.NDArray[np.bool_] = self.step == 0
        return still

    def see(self, step: int, seed: int, record: Record, states: Floats, epsilon: float) -> None:
        """Takes note of step ``step`` (from 1): ``epsilon`` along the noise of ``seed``, at ``states`` [G, n]."""
        away = rademacher(seed, states.shape[1]) * np.float32(epsilon)
        for side, losses in ((1, record.loss_plus), (-1, record.loss_minus)):
            # What is found has the loss 0, and nothing is less.
            nearer = np.flatnonzero(losses < self.loss)
            self.loss[nearer] = losses[nearer]
            # As the graph rounds: c z is exact, so the sum rounds once.
            self.states[nearer] = states[nearer] + np.float32(side) * away
            arrived = nearer[losses[nearer] == 0]
            self.step[arrived], self.side[arrived] = step, side


class OfThoseLeft:
    """An estimator that asks for the rows that are left only; what was found has the loss 0, so that it stays.

    Args:
        inner: measures.
        left: [G] which are.
    """

    probes = 1
    passes_a_row = 2

    def __init__(self, inner: TwoSided, left: Callable[[], npt.NDArray[np.bool_]]) -> None:
        self._inner, self._left = inner, left

    def measure(self, state: Floats, seeds: Sequence[int], batches: Iterable[Batch]) -> Estimate:
        """See :class:`~seedtune.runtime.estimators.protocol.Estimator`; ``batches`` are of the rows that are left."""
        left = self._left()
        found = self._inner.measure(state[left], seeds, batches)
        sides = np.zeros((2, 1, len(left)), np.float32)
        sides[0][:, left], sides[1][:, left] = found.loss_plus, found.loss_minus
        return self.estimate_from(*sides)

    def estimate_from(self, loss_plus: Floats, loss_minus: Floats) -> Estimate:
        """See :class:`~seedtune.runtime.estimators.protocol.Estimator`."""
        return self._inner.estimate_from(loss_plus, loss_minus)


@dataclass(frozen=True)
class Searched:
    """What one step of a search did: ``step`` from 1, ``asked`` pictures (each twice), ``found`` so far, mean loss."""

    step: int
    asked: int
    found: int
    loss: float


@dataclass(frozen=True)
class Phases:
    """The two phases of a search, by the flat settings of its journal: steps of the opening, and of all."""

    opening: int
    steps: int
    reach: float
    epsilon: float

    @classmethod
    def of(cls, settings: Mapping[str, Any]) -> Phases:
        """Those of ``settings``.

        Raises:
            SeedTuneError: they are of no scan.
        """
        opening, steps = settings.get("scan.opening"), settings.get("steps")
        reach, epsilon = settings.get("scan.reach"), settings.get("estimator.epsilon")
        if (
            not isinstance(opening, int)
            or not isinstance(steps, int)
            or not isinstance(reach, int | float)
            or not isinstance(epsilon, int | float)
            or not 0 <= opening <= steps
            or min(reach, epsilon) <= 0
        ):
            raise SeedTuneError("these are no settings of a scan", value=dict(settings), remedy="make the scan again")
        return cls(opening, steps, float(reach), float(epsilon))

    def epsilon_of(self, step: int) -> float:
        """How far a probe of ``step`` (from 1) moves every parameter."""
        return self.reach if step <= self.opening else self.epsilon


class Search:
    """One search: fills ``findings`` of G pictures, and moves ``state`` [G, n], which is zero.

    Args:
        graph: of the probes.
        feeder: G pictures.
        state: zero, [G, n].
        settings: flat, as in the journal's header.
        seed: of the run.
        images_per_call: both sides; bounds memory.
        record: puts a step into the journal, as `tune` wants it.
    """

    def __init__(
        self,
        graph: Graph,
        feeder: ImageFeeder,
        state: State,
        *,
        settings: Mapping[str, Any],
        seed: int,
        images_per_call: int,
        record: Callable[[Sequence[Record]], Callable[[], None] | None],
    ) -> None:
        self.findings = Findings(len(feeder), state.values.shape[1])
        self._graph, self._feeder, self._state = graph, feeder, state
        self._settings, self._phases, self._seed = settings, Phases.of(settings), seed
        self._limit = max(1, images_per_call // 2)
        self._record = record
        self._steps = 0
        self._opening = Opening(len(feeder))

    def run(self) -> Iterator[Searched]:
        """Steps, until all are found or the queries are spent.

        Raises:
            DivergedError: a loss is not finite.
        """
        phases, state = self._phases, self._state
        yield from self._taken(Still(), phases.reach, 0, phases.opening)
        state.values[:] = self._opening.starts(state.values.shape[1], phases.reach)
        yield from self._taken(optimizer_of(self._settings), phases.epsilon, phases.opening, phases.steps)

    def _taken(self, optimizer: Optimizer, epsilon: float, first: int, steps: int) -> Iterator[Searched]:
        taken = tune(
            estimator=OfThoseLeft(TwoSided(self._graph, epsilon), lambda: self.findings.open),
            optimizer=optimizer,
            rows_of=lambda _step: np.flatnonzero(self.findings.open),
            feeder=self._feeder,
            state=self._state,
            record=self._noted,
            run_seed=self._seed,
            first_step=first,
            steps=steps,
            limit=self._limit,
        )
        while self.findings.open.any():
            asked = int(self.findings.open.sum())
            step = next(taken, None)
            if step is None:
                return
            found = len(self._feeder) - int(self.findings.open.sum())
            # Zero of those that were found before.
            yield Searched(step.step, asked, found, step.estimate.loss * len(self._feeder) / asked)

    def _noted(self, records: Sequence[Record]) -> Callable[[], None] | None:
        (record,) = records
        settle = self._record(records)
        self._steps += 1
        see(
            self._steps,
            probe_seed(self._seed, self._steps - 1),
            record,
            self._state,
            self.findings,
            self._opening,
            self._phases,
        )
        return settle


def see(
    step: int, seed: int, record: Record, state: State, findings: Findings, opening: Opening, phases: Phases
) -> None:
    """What follows from the record of ``step`` (from 1), made or read back, before the state moves."""
    findings.see(step, seed, record, state.values, phases.epsilon_of(step))
    if step <= phases.opening:
        opening.see(seed, record)


def replayed(journal: Journal, state: State) -> Findings:
    """What ``journal`` found, by its numbers alone; ``state`` is zero, [G, n], and moved to its end."""
    header = journal.header
    settings: dict[str, Any] = dict(header.settings)
    phases = Phases.of(settings)
    findings, opening = Findings(header.groups, header.state_parameters), Opening(header.groups)
    optimizer = optimizer_of(settings)
    for step, seed in enumerate(journal.seeds().tolist(), 1):
        (row,) = journal.of_step(step - 1)
        record = Record(row["coefficient"], row["loss_plus"], row["loss_minus"])
        see(step, seed, record, state, findings, opening, phases)
        if step > phases.opening:
            optimizer.move(state, [seed], record.coefficient[None])
        elif step == phases.opening:
            state.values[:] = opening.starts(header.state_parameters, phases.reach)
    return findings
