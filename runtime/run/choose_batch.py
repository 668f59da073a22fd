"""How many examples a step should see, by a short measurement before a run begins.

A probe with B examples takes ``a + b B``: reading weights and making noise (a), and computing (b). Each direction tells
something new, so few examples a step are best as long as the time goes into examples; B grows until a is no more than a
fifth of the whole. (Measured at equal numbers of examples: 32 a step beat 64, 128 and 256;
docs/log/2026-11-23.md, "Batch size".)
On a machine that reads the weights from storage for every probe, under a hard memory cap, a is large, and so is B.
Micro-batches bound memory, so memory does not bound B.
"""

from __future__ import annotations

import time
from collections.abc import Generator
from dataclasses import dataclass

import numpy as np

from seedtune.runtime.batches.types import Feeder
from seedtune.runtime.bundle.manifest import Manifest
from seedtune.runtime.estimators.protocol import Estimator
from seedtune.runtime.noise import derive_seed
from seedtune.runtime.run.settings import BATCH_SIZE_OF_WHOLE_ROWS, Settings
from seedtune.runtime.telemetry.events import ChoosingBatchSize, Notice

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


def batch_size_of(
    settings: Settings, manifest: Manifest, estimator: Estimator, feeder: Feeder
) -> Generator[ChoosingBatchSize | Notice, None, int]:
    """The batch size of a new run: what was given, or by measurement with scope "suffix", or that of whole rows."""
    if settings.batch_size:
        return settings.batch_size
    if manifest.language_model.scope == "all":
        return BATCH_SIZE_OF_WHOLE_ROWS
    parameters = manifest.state.parameters
    choice = yield from choosing_batch_size(estimator, feeder, parameters, settings.tokens_per_call, settings.seed)
    yield Notice(str(choice))
    return choice.batch_size


def choosing_batch_size(
    estimator: Estimator, feeder: Feeder, parameters: int, limit: int, run_seed: int
) -> Generator[ChoosingBatchSize, None, BatchChoice]:
    """Measures and chooses; takes five probes.

    Args:
        estimator: over the probe graph.
        feeder: of the training rows.
        parameters: of the state.
        limit: units of a call, as in the run.
        run_seed: the directions follow from it.
    """
    state = np.zeros(parameters, np.float32)
    many = min(MANY, len(feeder))
    few = min(FEW, max(1, many // 2))
    # The first probe maps the weights and sizes the arena.
    plan = [(0, few), *((number, count) for number in range(ROUNDS) for count in (few, many))]
    times: dict[int, list[float]] = {few: [], many: []}
    yield ChoosingBatchSize(0, len(plan))
    for done, (number, count) in enumerate(plan, 1):
        started = time.perf_counter()
        seeds = [derive_seed(run_seed, "choose_batch", number * estimator.probes + k) for k in range(estimator.probes)]
        estimator.measure(state, seeds, feeder.batches(range(count), limit))
        if done > 1:
            times[count].append((time.perf_counter() - started) * 1e3)
        yield ChoosingBatchSize(done, len(plan))
    few_ms, many_ms = min(times[few]), min(times[many])
    example_ms = max((many_ms - few_ms) / max(1, many - few), 1e-3)
    fixed_ms = max(few_ms - few * example_ms, 0.0)
    return BatchChoice(best_size(fixed_ms, example_ms, len(feeder)), fixed_ms, example_ms)


def best_size(fixed_ms: float, example_ms: float, examples: int) -> int:
    """The smallest power of two within bounds that makes ``fixed_ms`` a small share; at most ``examples``."""
    size = SMALLEST
    while size < LARGEST and fixed_ms > FIXED_SHARE * (fixed_ms + example_ms * size):
        size *= 2
    return min(size, examples)
