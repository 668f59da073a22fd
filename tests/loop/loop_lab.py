"""The loop's parts as fakes of ten lines: rows that are numbers, a loss that is a parabola, a state in numpy."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from seedtune.runtime.batches.types import Batch, Work
from seedtune.runtime.estimators.protocol import Estimate
from seedtune.runtime.graphs.state import State
from seedtune.runtime.journal.records import Record
from seedtune.runtime.loop.steps import Taken, tune
from seedtune.runtime.noise import rademacher
from seedtune.runtime.optimizers.normalised import Normalised
from seedtune.runtime.optimizers.protocol import Optimizer

PARAMETERS, ROWS, EPSILON, RUN_SEED = 40, 12, 1e-2, 77


class NumpyState(State):
    """`State` in numpy: ``values <- fl(values + c z)``, [n] or [G, n]."""

    def __init__(self, groups: int | None = None) -> None:
        self.groups = groups
        self.values = np.zeros((PARAMETERS,) if groups is None else (groups, PARAMETERS), np.float32)

    def zero_like(self) -> NumpyState:
        return NumpyState(self.groups)

    def apply(self, seeds: Sequence[int] | npt.NDArray[np.uint32], coefficients: npt.ArrayLike) -> None:
        for seed, coefficient in zip(seeds, np.asarray(coefficients, np.float32), strict=True):
            noise = rademacher(int(seed), PARAMETERS)
            self.values += coefficient * noise if self.groups is None else coefficient[:, None] * noise


class Counting:
    """A feeder whose rows are their own numbers, in batches of ``limit`` rows, last row first."""

    unit = "rows"

    def __len__(self) -> int:
        return ROWS

    def batches(self, indices: Sequence[int], limit: int) -> Iterator[Batch]:
        places = np.arange(len(indices))[::-1]
        for first in range(0, len(places), limit):
            chosen = places[first : first + limit]
            yield Batch({"row": np.asarray(indices)[chosen]}, chosen, Work(len(chosen)))


class Parabola:
    """An estimator: the loss of row r is the mean square distance of its state from (r + 1) times a fixed vector."""

    def __init__(self, probes: int = 1) -> None:
        self.probes = probes
        self.passes_a_row = 2 * probes
        self.seen: list[tuple[list[int], list[int]]] = []

    def measure(self, state: np.ndarray, seeds: Sequence[int], batches: Iterable[Batch]) -> Estimate:
        rows: dict[int, int] = {}
        for batch in batches:
            rows |= zip(batch.index.tolist(), batch.arrays["row"].tolist(), strict=True)
        ordered = np.array([rows[place] for place in sorted(rows)])
        self.seen.append((list(seeds), ordered.tolist()))
        sides = [
            [self.losses(state + np.float32(sign * EPSILON) * rademacher(seed, PARAMETERS), ordered) for seed in seeds]
            for sign in (1, -1)
        ]
        return self.estimate_from(*(np.array(side, np.float32) for side in sides))

    def losses(self, state: np.ndarray, rows: np.ndarray) -> np.ndarray:
        """[G]: of each row its own state's, or their mean."""
        target = np.linspace(-0.1, 0.1, PARAMETERS)[None] * (rows[:, None] + 1)
        losses = np.square(state - target).mean(axis=1)
        return losses if state.ndim == 2 else losses.mean(keepdims=True)

    def estimate_from(self, plus: np.ndarray, minus: np.ndarray) -> Estimate:
        return Estimate(plus, minus, (plus.astype(np.float64) - minus) / (2 * EPSILON))


def bits(values: np.ndarray) -> bytes:
    """What two arrays must share to be the same, signs of zeros included."""
    return np.ascontiguousarray(values).tobytes()


def every_row(_step: int) -> range:
    """All rows, at every step."""
    return range(ROWS)


def looped(
    state: Any, *, estimator: Any = None, optimizer: Optimizer | None = None, steps: int = 10, **changes: Any
) -> tuple[list[Taken], list[Record]]:
    """What a whole loop over ``state`` yields and records."""
    recorded: list[Record] = []
    taken = list(begun(state, recorded.extend, estimator=estimator, optimizer=optimizer, steps=steps, **changes))
    return taken, recorded


def begun(
    state: Any,
    record: Callable[[Sequence[Record]], Any],
    *,
    estimator: Any = None,
    optimizer: Optimizer | None = None,
    steps: int = 10,
    **changes: Any,
) -> Iterator[Taken]:
    """The loop over ``state`` with the fakes of this file, of which ``changes`` replace some arguments."""
    arguments: dict[str, Any] = {
        "rows_of": every_row,
        "feeder": Counting(),
        "run_seed": RUN_SEED,
        "first_step": 0,
        "limit": 5,
    }
    return tune(
        estimator=estimator or Parabola(),
        optimizer=optimizer or Normalised(0.01, steps),
        state=state,
        record=record,
        steps=steps,
        **(arguments | changes),
    )
