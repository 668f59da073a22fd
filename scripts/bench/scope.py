"""python scripts/bench scope [--seconds 180] [--seeds 5]: accuracy of both scopes after the same time, on reviews.

The seconds of a step are measured first for each scope, in turns; how many steps fit the time follows from that.
Building the context cache of the training rows counts as time of scope suffix. Every run has the default settings, and
its last state is evaluated on the demo's test rows. The interval of the difference is paired by seed.
"""

from __future__ import annotations

import shutil
import statistics
import time
from pathlib import Path

import numpy as np
from rich.console import Console
from scipy import stats

import seedtune
from lab import smollm2
from lab.report import command_line, report
from seedtune.runtime.batches.sampler import Sampler
from seedtune.runtime.batches.types import Feeder
from seedtune.runtime.bundle.reader import Bundle
from seedtune.runtime.estimators.two_sided import TwoSidedSettings
from seedtune.runtime.graphs.mapped import MappedGraphs
from seedtune.runtime.model.feeders import CacheOptions, open_feeder

WHAT = "accuracy of both scopes after the same time, on reviews"
BAR = {
    "95 % interval of suffix minus all": "> 0",
}

BATCH_SIZE = 32
TIMED_STEPS = 4


def main() -> None:
    """Measures and reports."""
    parser = command_line(__file__, __doc__, BAR)
    parser.add_argument("--seconds", type=float, default=180.0, help="tuning time of every run, evaluation left out")
    parser.add_argument("--seeds", type=int, default=5, help="runs of each scope")
    options = parser.parse_args()
    folder = smollm2.OUTPUT / "scope"
    shutil.rmtree(folder, ignore_errors=True)
    cache = folder / "contexts"
    bundles = {"all": smollm2.exported(), "suffix": smollm2.exported(scope="suffix")}
    graphs = {scope: MappedGraphs(Bundle.open(bundle)) for scope, bundle in bundles.items()}
    started = time.perf_counter()
    train = {
        scope: open_feeder(of_scope, smollm2.reviews(of_scope.bundle), name="train", cache=CacheOptions(cache))
        for scope, of_scope in graphs.items()
    }
    cache_seconds = time.perf_counter() - started
    step_seconds = time_steps(graphs, train)
    steps = {
        "all": int(options.seconds / step_seconds["all"]),
        "suffix": int((options.seconds - cache_seconds) / step_seconds["suffix"]),
    }
    console = Console(stderr=True)
    console.print(f"cache {cache_seconds:.0f} s, seconds a step {step_seconds}, steps {steps}", highlight=False)
    found: dict[str, list[float]] = {"all": [], "suffix": []}
    for seed in range(options.seeds):
        for scope, bundle in bundles.items():
            accuracy = tuned_accuracy(bundle, folder / f"{scope}-{seed}", steps[scope], seed, cache)
            found[scope].append(accuracy)
            console.print(f"seed {seed}, scope {scope}: {accuracy:.1%}", highlight=False)
    differences = np.subtract(found["suffix"], found["all"])
    half = float(stats.t.ppf(0.975, len(differences) - 1) * differences.std(ddof=1) / np.sqrt(len(differences)))
    mean = float(differences.mean())
    rows = [
        (f"scope {scope}, {steps[scope]} steps of {BATCH_SIZE} reviews", _spread(found[scope]), "") for scope in found
    ]
    interval = f"{100 * mean:+.1f} points, {100 * (mean - half):+.1f} to {100 * (mean + half):+.1f}"
    rows.append(("difference, 95 % interval", interval, BAR["95 % interval of suffix minus all"]))
    report(
        f"Accuracy on 1,000 test reviews after {options.seconds:.0f} s of tuning, {options.seeds} seeds",
        rows,
        {
            "seconds": options.seconds,
            "cache_seconds": cache_seconds,
            "step_seconds": step_seconds,
            "steps": steps,
            "accuracies": found,
            "difference_mean": mean,
            "difference_interval": [mean - half, mean + half],
        },
    )


def _spread(values: list[float]) -> str:
    return f"{statistics.fmean(values):.1%} ({min(values):.1%} to {max(values):.1%})"


def time_steps(graphs: dict[str, MappedGraphs], feeders: dict[str, Feeder]) -> dict[str, float]:
    """Median seconds of a step, the scopes in turns; the first step of each warms up."""
    settings = seedtune.Settings()
    estimators = {scope: TwoSidedSettings().build(of_scope) for scope, of_scope in graphs.items()}
    times: dict[str, list[float]] = {scope: [] for scope in graphs}
    for step in range(TIMED_STEPS + 1):
        for scope, estimator in estimators.items():
            # Scope suffix makes more steps in the same time, so that one stall does not decide.
            for turn in range(1 if scope == "all" else 5):
                state = np.zeros(graphs[scope].bundle.manifest.state.parameters, np.float32)
                indices = Sampler(turn, len(feeders[scope]), BATCH_SIZE).indices(step)
                started = time.perf_counter()
                estimator.measure(state, [step], feeders[scope].batches(indices, settings.tokens_per_call))
                if step:
                    times[scope].append(time.perf_counter() - started)
    return {scope: statistics.median(taken) for scope, taken in times.items()}


def tuned_accuracy(bundle: Path, out: Path, steps: int, seed: int, cache: Path) -> float:
    """Test accuracy of the last state of a run."""
    data = smollm2.data()
    with seedtune.open(bundle) as model:
        tuning = model.tune(
            data["train"], out=out, held_out_rows=0, cache=cache, steps=steps, seed=seed, batch_size=BATCH_SIZE
        )
        for _event in tuning:
            pass
        return model.evaluate(data["test"], cache=cache).accuracy


if __name__ == "__main__":
    main()
