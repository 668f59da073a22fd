"""python scripts/bench suffix [--rows 128] [--rounds 5]: what scope suffix saves, on the demo's reviews.

- a probe at scope suffix against one at scope all, same rows, in turns, with everything that makes the batches; the
  cache's pages are in memory and their checksums verified, which happens once a process and is timed apart;
- building the cache against one plain forward pass of the same rows in ONNX Runtime;
- log-probabilities of scope suffix at state zero against the plain model (scope all at state zero), with contexts
  stored as fp32 and as fp16.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from pathlib import Path

import numpy as np

import seedtune
from lab import smollm2
from lab.report import command_line, report
from seedtune.runtime.batches.sampler import Sampler
from seedtune.runtime.batches.types import Feeder
from seedtune.runtime.bundle.objective import ContextStorage
from seedtune.runtime.bundle.reader import Bundle
from seedtune.runtime.estimators.two_sided import TwoSidedSettings
from seedtune.runtime.graphs.mapped import MappedGraphs
from seedtune.runtime.model.evaluation import evaluate
from seedtune.runtime.model.feeders import CacheOptions, open_feeder
from seedtune.runtime.task.example import Example
from seedtune.runtime.task.structure import Scope

WHAT = "what scope suffix saves, on the demo's reviews"
BAR = {
    "probe, scope all / scope suffix": ">= 7",
    "cache / one plain forward": "<= 1.3",
    "log-probabilities at state zero, fp32 contexts": "<= 1e-4",
}

SETTINGS = seedtune.Settings()
TOKENS_PER_CALL = SETTINGS.tokens_per_call
CACHED_ROWS = 512
SCOPES: tuple[Scope, ...] = ("all", "suffix")
STORAGES: tuple[ContextStorage, ...] = ("fp32", "fp16")
# Both scopes are watched for about the same time a round, so that one stall of the machine does not decide.
REPEATS = {"all": 1, "suffix": 6}


def main() -> None:
    """Measures and reports."""
    parser = command_line(__file__, __doc__, BAR)
    parser.add_argument("--rows", type=int, default=128, help="examples a probe")
    parser.add_argument("--rounds", type=int, default=5, help="probes of each scope, in turns")
    options = parser.parse_args()
    whole, suffix = (MappedGraphs(Bundle.open(smollm2.exported(scope=scope))) for scope in SCOPES)
    with tempfile.TemporaryDirectory(dir=smollm2.OUTPUT) as folder:
        rows = smollm2.reviews(suffix.bundle)[:CACHED_ROWS]
        whole_rows = open_feeder(whole, smollm2.reviews(whole.bundle)[:CACHED_ROWS])
        cache_seconds, suffix_rows = build_cache(suffix, rows, Path(folder))
        forward_seconds = plain_forward(whole, whole_rows)
        first_reading_seconds = read_once(suffix_rows)
        graphs, feeders = {"all": whole, "suffix": suffix}, {"all": whole_rows, "suffix": suffix_rows}
        times, tokens = probes(graphs, feeders, options.rows, options.rounds)
    speedup = statistics.median(a / b for a, b in zip(times["all"], times["suffix"], strict=True))
    plain = log_probabilities(whole.bundle.path)
    errors: dict[str, float] = {}
    for storage in STORAGES:
        found = log_probabilities(smollm2.exported(scope="suffix", context_storage=storage))
        errors[storage] = float(np.abs(plain - found).max())
    ratio = cache_seconds / forward_seconds
    all_ms, suffix_ms = (statistics.median(times[scope]) for scope in ("all", "suffix"))
    report(
        f"Scope suffix: SmolLM2-135M, {options.rows} reviews a probe",
        [
            (f"probe, scope all ({2 * tokens['all']:,} token rows)", f"{all_ms:.0f} ms", ""),
            (f"probe, scope suffix ({2 * tokens['suffix']:,} token rows)", f"{suffix_ms:.0f} ms", ""),
            ("ratio, median of pairs", f"{speedup:.2f}", BAR["probe, scope all / scope suffix"]),
            (f"first reading of {len(rows)} cached rows, checksums verified", f"{first_reading_seconds:.2f} s", ""),
            (f"cache of {len(rows)} rows / one plain forward", f"{ratio:.2f}", BAR["cache / one plain forward"]),
            *(
                (name := f"log-probabilities at state zero, {storage} contexts", f"{error:.1e}", BAR.get(name, ""))
                for storage, error in errors.items()
            ),
        ],
        {
            "probe_all_ms": all_ms,
            "probe_suffix_ms": suffix_ms,
            "speedup": speedup,
            "cache_seconds": cache_seconds,
            "forward_seconds": forward_seconds,
            "first_reading_seconds": first_reading_seconds,
            "cache_ratio": ratio,
            "zero_state_error": errors,
        },
    )


def build_cache(graphs: MappedGraphs, rows: list[Example], folder: Path) -> tuple[float, Feeder]:
    """Seconds to build the cache of ``rows``, session included, and what reads it."""
    started = time.perf_counter()
    feeder = open_feeder(graphs, rows, cache=CacheOptions(folder))
    return time.perf_counter() - started, feeder


def read_once(feeder: Feeder) -> float:
    """Seconds to make batches of all rows for the first time."""
    started = time.perf_counter()
    for _batch in feeder.batches(range(len(feeder)), TOKENS_PER_CALL):
        pass
    return time.perf_counter() - started


def plain_forward(graphs: MappedGraphs, feeder: Feeder) -> float:
    """Seconds of one evaluation by the untouched model over whole rows, session included."""
    started = time.perf_counter()
    evaluate(graphs, zero_state(graphs.bundle), feeder, rows=TOKENS_PER_CALL)
    return time.perf_counter() - started


def zero_state(bundle: Bundle) -> np.ndarray:
    """The state of the untouched model, [n]."""
    return np.zeros(bundle.manifest.state.parameters, np.float32)


def probes(
    graphs: dict[str, MappedGraphs], feeders: dict[str, Feeder], count: int, rounds: int
) -> tuple[dict[str, list[float]], dict[str, int]]:
    """Milliseconds of probes of the same examples by scope, batches included, and tokens of one side."""
    estimators = {scope: TwoSidedSettings().build(of_scope) for scope, of_scope in graphs.items()}
    states = {scope: zero_state(of_scope.bundle) for scope, of_scope in graphs.items()}
    sampler = Sampler(0, CACHED_ROWS, count)
    times: dict[str, list[float]] = {"all": [], "suffix": []}
    # The first turn pages weights and cache in.
    for turn in range(rounds + 1):
        for scope, estimator in estimators.items():
            started = time.perf_counter()
            for _repeat in range(REPEATS[scope]):
                estimator.measure(states[scope], [turn], feeders[scope].batches(sampler.indices(turn), TOKENS_PER_CALL))
            if turn:
                times[scope].append((time.perf_counter() - started) * 1e3 / REPEATS[scope])
    last = sampler.indices(rounds)
    tokens = {
        scope: sum(batch.work.computed for batch in feeder.batches(last, TOKENS_PER_CALL))
        for scope, feeder in feeders.items()
    }
    return times, tokens


def log_probabilities(bundle: Path) -> np.ndarray:
    """Log-probabilities of the labels of the validation rows by the model as exported, [rows, L]."""
    with seedtune.open(bundle) as model:
        result = model.evaluate(smollm2.data()["validation"], rows_per_call=TOKENS_PER_CALL)
    assert result.probabilities is not None
    return np.log(result.probabilities)


if __name__ == "__main__":
    main()
