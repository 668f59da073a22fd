"""Many steps block by block: the bits of the plain loop, whatever the sizes."""

from __future__ import annotations

import numpy as np
import pytest

from seedtune.runtime.graphs.replaying import BLOCK_BYTES, SIGNS_PER_BYTE, STEPS_AT_ONCE, apply_many
from seedtune.runtime.noise import rademacher

BLOCK = BLOCK_BYTES * SIGNS_PER_BYTE


@pytest.mark.parametrize("parameters", [32, BLOCK - 32, BLOCK, 2 * BLOCK + 32])
@pytest.mark.parametrize("steps", [0, 1, STEPS_AT_ONCE, STEPS_AT_ONCE + 3])
def test_blocks_give_the_bits_of_the_plain_loop(parameters: int, steps: int) -> None:
    generator = np.random.default_rng(parameters + steps)
    seeds = generator.integers(0, 1 << 32, steps)
    coefficients = (generator.standard_normal(steps) * 10.0 ** generator.integers(-9, 3, steps)).astype(np.float32)
    values = generator.standard_normal(parameters).astype(np.float32)
    expected = values.copy()
    for seed, coefficient in zip(seeds, coefficients, strict=True):
        expected += coefficient * rademacher(int(seed), parameters)
    apply_many(values, seeds, coefficients)
    np.testing.assert_array_equal(values.view(np.uint32), expected.view(np.uint32))


def test_a_state_that_is_no_whole_words_is_refused() -> None:
    with pytest.raises(ValueError, match="parameters % 32"):
        apply_many(np.zeros(33, np.float32), np.zeros(1, np.int64), np.ones(1, np.float32))
