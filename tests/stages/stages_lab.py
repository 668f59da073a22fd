"""What the tests of stages share: which bundles, how a graph of one is run, and a choice of memory made by hand."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from seedtune.runtime.bundle.reader import Bundle
from seedtune.runtime.graphs.types import Graphs, MemoryChoice
from seedtune.runtime.model.feeders import open_feeder
from seedtune.runtime.stages.library_pages import LibraryPages, PageGuard
from seedtune.runtime.stages.streaming import StageFiles, StreamedGraphs
from seedtune.runtime.stages.weights import stage_bytes
from seedtune.runtime.task.example import Example

# family, scope, storage of contexts, storage of weights, layers, context on host: each value, not each combination.
GRID = (
    ("causal", "all", "fp32", "fp32"),
    ("causal", "all", "fp32", "int8"),
    ("causal", "suffix", "int8", "bf16"),
    ("masked", "suffix", "fp16", "int8"),
    ("masked", "all", "fp32", "int4"),
    ("causal", "suffix", "fp32", "fp16"),
    ("causal", "last", "fp16", "int8", 1),
    ("masked", "last", "int8", "fp32", 1, True),
)
EPSILON, SEED = 1e-2, 7
UNGUARDED = PageGuard(LibraryPages(frozenset()), 0)
LAYERS = 6


@dataclass(frozen=True)
class Case:
    """A bundle and rows for it."""

    bundle: Bundle
    examples: list[Example]


def streamed(bundle: Bundle, **changes: Any) -> StreamedGraphs:
    """The graphs of ``bundle``, kept to a choice made by hand."""
    return StreamedGraphs(bundle, StageFiles.of(bundle), by_hand(bundle, **changes), UNGUARDED, threads=1)


def by_hand(bundle: Bundle, **changes: Any) -> MemoryChoice:
    """The least that works: one row a call, one stage in memory at a time."""
    files = StageFiles.of(bundle)
    sizes = [
        stage_bytes(list(stage.weights.values()), files.tensors, files.plan.roles)
        for stages in files.plan.graphs.values()
        for stage in stages
    ]
    choice = MemoryChoice(0, 1, 1, 1, max(sizes), context_tokens_per_call=1000)
    return replace(choice, **changes)


def two_stages(bundle: Bundle) -> int:
    """Bytes of the largest two neighbours among the stages of any graph."""
    files = StageFiles.of(bundle)
    largest = 0
    for stages in files.plan.graphs.values():
        sizes = [stage_bytes(list(one.weights.values()), files.tensors, files.plan.roles) for one in stages]
        largest = max(largest, *map(sum, itertools.pairwise(sizes)))
    return largest


def losses_of(graphs: Graphs, examples: list[Example], tokens_per_call: int) -> list[np.ndarray]:
    """Everything that the probe and the eval graph return for micro-batches of so many tokens."""
    state = 1e-2 * np.random.default_rng(1).standard_normal(graphs.bundle.manifest.state.parameters)
    shared = {"state": state.astype(np.float32)}
    found: list[np.ndarray] = []
    for name, names, more in (
        ("probe", ["loss_plus", "loss_minus"], {"seed": [SEED], "epsilon": [EPSILON]}),
        ("eval", ["loss", "log_probabilities"], {}),
    ):
        inputs = shared | {key: np.array(value, {"seed": np.int64}.get(key, np.float32)) for key, value in more.items()}
        feeder = open_feeder(graphs, examples)
        batches = feeder.batches(range(len(examples)), tokens_per_call)
        for index, arrays in graphs.open(name).run(names, batches, inputs):
            found += [index, *arrays]
    return found
