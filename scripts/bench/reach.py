"""python scripts/bench reach [--layers 10] [--rows 32] [--rounds 5]: a step by the reach of its state.

SmolLM2-135M and reviews of the demo: the same rows with the state at every token, behind the text, at the last token in
the upper --layers only, and the exact gradient within that reach. A step is what the loop does: batches from the cache,
the probe (or the gradient), the update. In turns, so that what else the machine does falls on all alike; CPU time is
that of all threads.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from lab import smollm2
from lab.report import command_line, report
from seedtune.runtime.batches.sampler import Sampler
from seedtune.runtime.batches.types import Feeder
from seedtune.runtime.bundle.reader import Bundle
from seedtune.runtime.estimators.gradient import GradientSettings
from seedtune.runtime.estimators.two_sided import TwoSidedSettings
from seedtune.runtime.graphs.mapped import MappedGraphs
from seedtune.runtime.model.feeders import CacheOptions, open_feeder
from seedtune.runtime.model.tuned import new_state
from seedtune.runtime.optimizers.adamw import AdamWSettings

WHAT = "a step by the reach of its state"
BAR = {
    "scope suffix / last": ">= 8",
    "scope all / last": ">= 50",
}

TOKENS_PER_CALL = 512
CACHED_ROWS = 128


@dataclass
class Contender:
    """One way to make a step, and how long its turns took."""

    name: str
    step: Callable[[int], None]
    tokens: int
    seconds: list[float] = field(default_factory=list)
    cpu_seconds: list[float] = field(default_factory=list)

    def take(self, turn: int, counts: bool) -> None:
        """One step, timed; the first of all pages weights and cache in."""
        cpu, wall = time.process_time(), time.perf_counter()
        self.step(turn)
        if counts:
            self.seconds.append(time.perf_counter() - wall)
            self.cpu_seconds.append(time.process_time() - cpu)


def main() -> None:
    """Measures and reports."""
    parser = command_line(__file__, __doc__, BAR)
    parser.add_argument("--layers", type=int, default=10, help="of the short reach, from the top")
    parser.add_argument("--rows", type=int, default=32, help="of a step")
    parser.add_argument("--rounds", type=int, default=5, help="counted steps of each")
    parser.add_argument("--threads", type=int, default=None, help="of ONNX Runtime; all processors if not given")
    options = parser.parse_args()
    last = smollm2.exported(scope="last", layers=options.layers)
    bundles = {"all": smollm2.exported(scope="all"), "suffix": smollm2.exported(scope="suffix"), "last": last}
    contenders: list[Contender] = []
    for name, path in bundles.items():
        graphs = MappedGraphs(Bundle.open(path), options.threads)
        feeder = feeder_of(graphs, smollm2.OUTPUT / "reach-contexts")
        contenders.append(probing(f"scope {name}", graphs, feeder, options.rows))
        if name == "last":
            contenders.append(descending("gradient within it", graphs, feeder, options.rows))
    for turn in range(options.rounds + 1):
        for contender in contenders:
            contender.take(turn, counts=turn > 0)
    reference = contenders[2]
    ratios = {
        f"{one.name} / last": statistics.median(a / b for a, b in zip(one.seconds, reference.seconds, strict=True))
        for one in contenders
        if one is not reference
    }
    title = f"A step of {options.rows} reviews by reach: SmolLM2-135M, last token in {options.layers} of 30 layers"
    lines = [
        (
            one.name,
            f"{one.tokens:,}",
            f"{1e3 * statistics.median(one.seconds):.0f} ms",
            f"{1e3 * statistics.median(one.cpu_seconds):.0f} ms",
            f"{ratios[f'{one.name} / last']:.1f}" if one is not reference else "",
            BAR.get(f"{one.name} / last", ""),
        )
        for one in contenders
    ]
    result = {
        "layers": options.layers,
        "rows": options.rows,
        "ratios": ratios,
        "seconds": {one.name: one.seconds for one in contenders},
        "cpu_seconds": {one.name: one.cpu_seconds for one in contenders},
    }
    report(title, lines, result, ("", "tokens, one side", "step", "CPU", "against last", "bar"))


def feeder_of(graphs: MappedGraphs, folder: Path) -> Feeder:
    """Batches of the first rows of the demo, from a full cache where the reach has one."""
    folder.mkdir(parents=True, exist_ok=True)
    rows = smollm2.reviews(graphs.bundle)[:CACHED_ROWS]
    return open_feeder(graphs, rows, cache=CacheOptions(folder))


def tokens_of(feeder: Feeder, rows: int) -> int:
    """Tokens that one side of a step computes, padding included."""
    return sum(batch.work.computed for batch in feeder.batches(range(rows), TOKENS_PER_CALL))


def probing(name: str, graphs: MappedGraphs, feeder: Feeder, rows: int) -> Contender:
    """Two-sided probes and updates."""
    estimator, state = TwoSidedSettings().build(graphs), new_state(graphs.bundle)
    indices = Sampler(0, len(feeder), rows).indices

    def step(turn: int) -> None:
        found = estimator.measure(state.values, [turn], feeder.batches(indices(turn), TOKENS_PER_CALL))
        state.apply([turn], np.float32(-1e-3) * np.sign(found.projected_gradient[:, 0]))

    return Contender(name, step, tokens_of(feeder, rows))


def descending(name: str, graphs: MappedGraphs, feeder: Feeder, rows: int) -> Contender:
    """Exact gradients and AdamW."""
    gradient, state = GradientSettings().build(graphs), new_state(graphs.bundle)
    optimizer = AdamWSettings().build(100)
    indices = Sampler(0, len(feeder), rows).indices

    def step(turn: int) -> None:
        found = gradient.measure(state.values, feeder.batches(indices(turn), TOKENS_PER_CALL))
        optimizer.move(turn, state.values, found.gradient, found.norm)

    return Contender(name, step, tokens_of(feeder, rows))


if __name__ == "__main__":
    main()
