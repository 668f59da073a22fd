"""Which examples a step sees: a pure function of the run seed and the step's number."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from seedtune.runtime.noise import derive_seed, permutation


class Sampler:
    """Walks through fresh permutations of the examples, one an epoch, without gaps between epochs.

    A batch may be larger than the data; it then holds examples of several epochs.
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
        """The examples of step ``step`` (0-based), [batch_size] int64; the same whatever was asked before."""
        places = np.arange(step * self.batch_size, (step + 1) * self.batch_size)
        epochs = places // self.examples
        chosen = [
            self._permutation(int(epoch))[places[epochs == epoch] % self.examples] for epoch in np.unique(epochs)
        ]
        return np.concatenate(chosen)

    def _permutation(self, epoch: int) -> npt.NDArray[np.int64]:
        if epoch != self._epoch:
            self._epoch = epoch
            self._order = permutation(derive_seed(self.seed, "sampler", epoch), self.examples)
        return self._order
