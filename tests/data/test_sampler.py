"""The sampler is a pure function of seed and step that shows every example once an epoch."""

from __future__ import annotations

import numpy as np
import pytest

from seedtune.runtime.data.sampler import Sampler
from seedtune.runtime.noise import derive_seed, permutation


@pytest.mark.parametrize(("count", "size"), [(10, 3), (10, 10), (7, 16), (1, 4), (100, 1)])
def test_steps_laid_end_to_end_are_the_epochs_permutations(count: int, size: int) -> None:
    steps = 3 * count // size + 3
    walked = np.concatenate([Sampler(9, count, size).indices(step) for step in range(steps)])
    epochs = [permutation(derive_seed(9, "sampler", epoch), count) for epoch in range(steps * size // count + 1)]
    assert walked.dtype == np.int64
    assert walked.tolist() == np.concatenate(epochs)[: steps * size].tolist()


@pytest.mark.parametrize(("count", "size", "step"), [(0, 1, 0), (1, 0, 0), (1, 1, -1)])
def test_impossible_numbers_are_refused(count: int, size: int, step: int) -> None:
    with pytest.raises(ValueError, match=r"positive|step < 0"):
        Sampler(0, count, size).indices(step)
