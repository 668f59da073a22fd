"""How many examples a step should see, by a short measurement before a run begins.

A probe with B examples takes ``a + b B``: reading weights and making noise (a), and computing (b). Each direction tells
something new, so few examples a step are best as long as the time goes into examples; B grows until a is no more than a
fifth of the whole. (Measured at equal numbers of examples: 32 a step beat 64, 128 and 256; docs/log.md, "batch size".)
On a machine that reads the weights from storage for every probe, under a hard memory cap, a is large, and so is B.
Micro-batches bound memory, so memory does not bound B.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from seedtune.runtime.batches.types import Feeder
from seedtune.runtime.estimators.two_sided import Estimator
from seedtune.runtime.noise import derive_seed

# The share of a probe's time that may not depend on the number of examples.
FIXED_SHARE = 0.2
FEW, MANY, ROUNDS = 16, 128, 2
SMALLEST, LARGEST = 32, 1024


@dataclass(frozen=True)
class BatchChoice:
    """The measurement, and the batch size that follows: a power of two, or all examples there are.

    ``fixed_ms`` is a, ``example_ms`` is b of the module docstring.
    """

    batch_size: int
    fixed_ms: float
    example_ms: float

    def __str__(self) -> str:
        share = self.fixed_ms / (self.fixed_ms + self.example_ms * self.batch_size)
        return (
            f"batch size {self.batch_size}: a probe takes {self.fixed_ms:.0f} ms + {self.example_ms:.1f} ms an "
            f"example, so {share:.0%} of its time does not depend on the examples"
        )


def choose_batch_size(
    estimator: Estimator,
    feeder: Feeder,
    parameters: int,
    tokens_per_call: int,
    run_seed: int,
    advance: Callable[[int], None] = lambda _probes: None,
) -> BatchChoice:
    """Measures and chooses; takes five probes.

    Args:
        estimator: over the probe graph.
        feeder: of the training rows.
        parameters: of the state.
        tokens_per_call: as in the run.
        run_seed: the directions follow from it.
        advance: told how many probes are done.
    """
    state = np.zeros(parameters, np.float32)
    many = min(MANY, len(feeder.examples))
    few = min(FEW, max(1, many // 2))

    def probe_ms(round_number: int, count: int) -> float:
        started = time.perf_counter()
        seed = derive_seed(run_seed, "choose_batch", round_number)
        estimator.measure(state, seed, feeder.batches(range(count), tokens_per_call))
        advance(1)
        return (time.perf_counter() - started) * 1e3

    # The first one maps the weights and sizes the arena.
    probe_ms(0, few)
    times = [(probe_ms(number, few), probe_ms(number, many)) for number in range(ROUNDS)]
    few_ms, many_ms = (min(column) for column in zip(*times, strict=True))
    example_ms = max((many_ms - few_ms) / max(1, many - few), 1e-3)
    fixed_ms = max(few_ms - few * example_ms, 0.0)
    return BatchChoice(best_size(fixed_ms, example_ms, len(feeder.examples)), fixed_ms, example_ms)


def best_size(fixed_ms: float, example_ms: float, examples: int) -> int:
    """The smallest power of two within bounds that makes ``fixed_ms`` a small share; at most ``examples``."""
    size = SMALLEST
    while size < LARGEST and fixed_ms > FIXED_SHARE * (fixed_ms + example_ms * size):
        size *= 2
    return min(size, examples)
