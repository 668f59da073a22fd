"""Which examples a step sees: a pure function of the run seed and the step's number."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from seedtune.runtime.batches.types import CoupledFeeder, Feeder
from seedtune.runtime.noise import derive_seed, permutation


class Sampler:
    """Walks through fresh permutations of the examples, one an epoch, without gaps between epochs.

    Epoch e is ``permutation(derive_seed(seed, "sampler", e), examples)``; step s takes places s * batch_size to
    (s + 1) * batch_size - 1 of all epochs laid end to end. So every epoch shows every example once, and a batch across
    the border of two epochs, or one larger than the data, may hold an example more than once.

    Args:
        seed: of the run, 32 bits.
        examples: how many there are.
        batch_size: examples of a step.

    Raises:
        ValueError: a count is not positive.
    """

    def __init__(self, seed: int, examples: int, batch_size: int) -> None:
        if examples < 1 or batch_size < 1:
            raise ValueError(f"examples and batch_size must be positive: {examples}, {batch_size}")
        self.seed = seed
        self.examples = examples
        self.batch_size = batch_size
        self._epoch = -1
        self._order: npt.NDArray[np.int64] = np.empty(0, np.int64)

    def indices(self, step: int) -> npt.NDArray[np.int64]:
        """The examples of step ``step`` (0-based), [batch_size] int64; the same whatever was asked before.

        Raises:
            ValueError: the step is negative.
        """
        if step < 0:
            raise ValueError(f"step < 0: {step}")
        places = np.arange(step * self.batch_size, (step + 1) * self.batch_size, dtype=np.int64)
        epochs = places // self.examples
        chosen = [self._permutation(int(epoch))[places[epochs == epoch] % self.examples] for epoch in np.unique(epochs)]
        return np.concatenate(chosen)

    def _permutation(self, epoch: int) -> npt.NDArray[np.int64]:
        if epoch != self._epoch:
            self._epoch = epoch
            self._order = permutation(derive_seed(self.seed, "sampler", epoch), self.examples)
        return self._order


def rows_of(feeder: Feeder, seed: int, batch_size: int) -> Callable[[int], npt.NDArray[np.int64]]:
    """Step (0-based) -> the rows of ``feeder`` that it sees: a `Sampler`'s, or those that a coupled feeder says."""
    if isinstance(feeder, CoupledFeeder):
        return lambda step: feeder.group(seed, step, batch_size)
    return Sampler(seed, len(feeder), batch_size).indices
