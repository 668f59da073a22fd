"""A SeedTune step: one probe and one update, through the classes of ``seedtune run``."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from seedtune.runtime.bundle.reader import Bundle
from seedtune.runtime.estimators.two_sided import TwoSidedSettings
from seedtune.runtime.graphs.mapped import MappedGraphs
from seedtune.runtime.graphs.types import Graphs
from seedtune.runtime.model.feeders import CacheOptions, open_feeder
from seedtune.runtime.model.limit import limit_memory
from seedtune.runtime.model.splits import load_split
from seedtune.runtime.model.tuned import new_state
from seedtune.runtime.run.settings import Settings
from seedtune.runtime.trim import trim

COEFFICIENT = 1e-4


def prepare(options: dict[str, Any]) -> Callable[[], None]:
    """Options: bundle, rows (JSONL), threads, folder (for a context cache), memory_limit_bytes (None for none)."""
    # The bench has hashed the weights already.
    bundle = Bundle.open(Path(options["bundle"]), verify_weights=False)
    examples = load_split(Path(options["rows"]).with_suffix(".jsonl"), bundle.compiled_task()).examples
    trim()
    settings, threads, limit = Settings(), options["threads"], options["memory_limit_bytes"]
    graphs: Graphs = MappedGraphs(bundle, threads)
    if limit is not None:
        graphs = limit_memory(bundle, examples, limit, examples_at_once=len(examples), cached=True, threads=threads)
    tokens = graphs.choice.tokens_per_call if graphs.choice else settings.tokens_per_call
    feeder = open_feeder(graphs, examples, name="bench", cache=CacheOptions(Path(options["folder"])))
    state, estimator = new_state(bundle), TwoSidedSettings().build(graphs)
    seeds = iter(range(1 << 31))

    def step() -> None:
        seed = next(seeds)
        estimator.measure(state.values, [seed], feeder.batches(np.arange(len(examples)), tokens))
        state.apply([seed], [COEFFICIENT])

    return step
