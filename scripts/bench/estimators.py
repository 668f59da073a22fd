"""python scripts/bench estimators [--passes 32768]: held-out loss of estimators at equal example passes.

SmolLM2-135M and reviews of the demo, state at the last token in the upper --layers from zero: every method makes steps
until it has run --passes rows forward (both sides and all directions of a probe counted), and is evaluated on held-out
rows at four times on the way. Its steps are those of `seedtune run`; its learning rate stands in METHODS. Contexts are
computed once, into bench-output/.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from lab import smollm2
from lab.report import command_line, report
from seedtune.runtime.batches.sampler import Sampler
from seedtune.runtime.batches.types import Feeder
from seedtune.runtime.bundle.reader import Bundle
from seedtune.runtime.estimators.gauss_newton import GaussNewtonSettings
from seedtune.runtime.estimators.one_sided import OneSidedSettings
from seedtune.runtime.estimators.settings import ProbeEstimatorSettings
from seedtune.runtime.estimators.two_sided import TwoSidedSettings
from seedtune.runtime.graphs.mapped import MappedGraphs
from seedtune.runtime.loop.steps import tune
from seedtune.runtime.model.evaluation import evaluate
from seedtune.runtime.model.feeders import CacheOptions, open_feeder
from seedtune.runtime.model.tuned import new_state
from seedtune.runtime.optimizers.damped import DampedSettings
from seedtune.runtime.optimizers.momentum import MomentumSettings
from seedtune.runtime.optimizers.normalised import NormalisedSettings
from seedtune.runtime.optimizers.settings import ProbeOptimizerSettings
from seedtune.runtime.optimizers.standardised import StandardisedSettings

WHAT = "held-out loss of estimators at equal example passes"
BAR = {"gauss-newton against two-sided": "none: whichever way it goes"}

TOKENS_PER_CALL = 512
ROWS_PER_CALL = 1024
EVALUATIONS = 4


@dataclass(frozen=True)
class Method:
    """How steps are made, of how many rows each."""

    estimator: ProbeEstimatorSettings
    optimizer: ProbeOptimizerSettings
    rows: int

    def steps(self, passes: int) -> int:
        """As many as stay within ``passes``, but one."""
        return max(1, passes // (self.rows * self.estimator.passes_a_row))


# 0.1 was the best of seven learning rates for ten layers in runs of 400 steps over 2,048 rows (docs/log/2026-11-26.md).
METHODS = {
    "two-sided": Method(TwoSidedSettings(), NormalisedSettings(0.1), 32),
    "two-sided, rate 0.05": Method(TwoSidedSettings(), NormalisedSettings(0.05), 32),
    "two-sided, averaged": Method(TwoSidedSettings(), NormalisedSettings(0.1, average=0.5), 32),
    "two-sided, momentum": Method(TwoSidedSettings(), MomentumSettings(0.1), 32),
    "two-sided, accuracy": Method(TwoSidedSettings(objective="accuracy"), NormalisedSettings(0.1), 128),
    "one-sided": Method(OneSidedSettings(), StandardisedSettings(0.3), 32),
    "gauss-newton 64 x 64": Method(GaussNewtonSettings(), DampedSettings(), 64),
    "gauss-newton 32 x 128": Method(GaussNewtonSettings(directions=32), DampedSettings(), 128),
    "gauss-newton 64 x 512": Method(GaussNewtonSettings(), DampedSettings(), 512),
}


@dataclass(frozen=True)
class Point:
    """Held-out loss and accuracy after some example passes."""

    passes: int
    loss: float
    accuracy: float


def main() -> None:
    """Measures and reports."""
    parser = command_line(__file__, __doc__, BAR)
    parser.add_argument("--passes", type=int, default=32_768, help="rows forward that each method may take")
    parser.add_argument("--methods", nargs="+", choices=list(METHODS), default=list(METHODS), metavar="NAME")
    parser.add_argument("--layers", type=int, default=10, help="of the reach, from the top")
    parser.add_argument("--train", type=int, default=2048, help="rows to learn from")
    parser.add_argument("--held-out", type=int, default=256, help="rows to evaluate on")
    parser.add_argument("--seeds", type=int, default=1, help="runs of each method")
    parser.add_argument("--threads", type=int, default=1, help="of ONNX Runtime")
    options = parser.parse_args()
    graphs = MappedGraphs(Bundle.open(smollm2.exported(scope="last", layers=options.layers)), options.threads)
    train = feeder_of(graphs, "train", options.train)
    held_out = feeder_of(graphs, "validation", options.held_out)
    lines: list[tuple[str, ...]] = []
    result: dict[str, Any] = {}
    for name in options.methods:
        method, started = METHODS[name], time.perf_counter()
        curves = [list(run(method, graphs, train, held_out, options.passes, seed)) for seed in range(options.seeds)]
        seconds = (time.perf_counter() - started) / options.seeds
        ends = [curve[-1] for curve in curves]
        lines.append(
            (
                name,
                f"{method.steps(options.passes)} x {method.rows} rows x {method.estimator.passes_a_row}",
                *(f"{statistics.fmean(points[at].loss for points in curves):.4f}" for at in range(len(curves[0]))),
                f"{statistics.fmean(end.accuracy for end in ends):.1%}",
                f"{seconds:.0f} s",
            )
        )
        result[name] = {
            "seconds": seconds,
            "curves": [[[point.passes, point.loss, point.accuracy] for point in curve] for curve in curves],
        }
    parts = [f"loss at {part}/{EVALUATIONS}" for part in range(EVALUATIONS + 1)]
    report(
        f"Estimators over {options.passes:,} example passes: SmolLM2-135M, last token, {options.layers} layers, "
        f"{options.train:,} reviews, {options.held_out} held out, mean of {options.seeds} seed(s)",
        lines,
        {"passes": options.passes, "layers": options.layers, "rows": options.train, "methods": result},
        ("", "steps", *parts, "accuracy", "time"),
    )


def feeder_of(graphs: MappedGraphs, split: str, rows: int) -> Feeder:
    """Batches of the first ``rows`` of a split of the demo, from a cache that is filled once."""
    folder = smollm2.OUTPUT / "estimators-contexts"
    folder.mkdir(parents=True, exist_ok=True)
    return open_feeder(graphs, smollm2.reviews(graphs.bundle, split)[:rows], name=split, cache=CacheOptions(folder))


def run(
    method: Method, graphs: MappedGraphs, train: Feeder, held_out: Feeder, passes: int, seed: int
) -> Iterator[Point]:
    """The start and ``EVALUATIONS`` points of one run, the last of which is its end."""
    steps = method.steps(passes)
    due = [max(1, round(steps * part / EVALUATIONS)) for part in range(1, EVALUATIONS + 1)]
    estimator, state = method.estimator.build(graphs), new_state(graphs.bundle)
    optimizer = method.optimizer.build(steps, estimator.probes)

    def point(done: int) -> Point:
        found = evaluate(graphs, optimizer.evaluated(state).values, held_out, rows=ROWS_PER_CALL)
        return Point(done * method.rows * estimator.passes_a_row, found.loss, found.accuracy)

    yield point(0)
    for taken in tune(
        estimator=estimator,
        optimizer=optimizer,
        rows_of=Sampler(seed, len(train), method.rows).indices,
        feeder=train,
        state=state,
        record=_unrecorded,
        run_seed=seed,
        first_step=0,
        steps=steps,
        limit=TOKENS_PER_CALL,
    ):
        for _ in range(due.count(taken.step)):
            yield point(taken.step)


def _unrecorded(_records: Sequence[object]) -> None:
    """The figures are kept, no run is."""


if __name__ == "__main__":
    main()
