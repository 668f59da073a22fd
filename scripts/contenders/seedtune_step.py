"""A SeedTune step: one probe and one update, through the classes of ``seedtune run``."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from seedtune.runtime.bundle.reader import Bundle
from seedtune.runtime.estimators.two_sided import TwoSided
from seedtune.runtime.graphs.state import State
from seedtune.runtime.model.feeders import CacheOptions, open_feeder
from seedtune.runtime.model.limit import limit_memory
from seedtune.runtime.model.splits import load_split
from seedtune.runtime.run.settings import Settings
from seedtune.runtime.trim import trim

COEFFICIENT = 1e-4


def prepare(options: dict[str, Any]) -> Callable[[], None]:
    """Options: bundle, rows (JSONL), threads, folder (for a prefix cache), memory_limit_bytes (None for none)."""
    # The bench has hashed the weights already.
    bundle = Bundle.open(Path(options["bundle"]), verify_weights=False)
    examples = load_split(Path(options["rows"]).with_suffix(".jsonl"), bundle.compiled_task()).examples
    trim()
    settings = Settings()
    tokens = settings.rows_per_call // 2
    if (limit := options["memory_limit_bytes"]) is not None:
        bundle = limit_memory(bundle, examples, limit, examples_at_once=len(examples), cached=True)
        assert bundle.memory is not None
        tokens = bundle.memory.tokens_per_call
    cache = CacheOptions(Path(options["folder"]))
    feeder = open_feeder(bundle, examples, name="bench", cache=cache, threads=options["threads"])
    # A run's update graph has one thread, too: `run/driver.py`.
    state = State(bundle.session("update", 1), bundle.manifest.state.parameters)
    estimator = TwoSided(bundle.graph("probe", options["threads"]), settings.epsilon)
    seeds = iter(range(1 << 31))

    def step() -> None:
        seed = next(seeds)
        estimator.measure(state.values, seed, feeder.batches(np.arange(len(examples)), tokens))
        state.apply([seed], [COEFFICIENT])

    return step
