"""python scripts/bench suffix [--rows 128] [--rounds 5]: what scope suffix saves, on the demo's reviews.

- a probe at scope suffix against one at scope all, same rows, in turns, with everything that makes the batches; the
  cache's pages are in memory and their checksums verified, which happens once a process and is timed apart;
- building the cache against one plain forward pass of the same rows in ONNX Runtime;
- log-probabilities of scope suffix at state zero against the plain model (scope all at state zero), with prefixes
  stored as fp32 and as fp16.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from pathlib import Path

import numpy as np

from lab import smollm2
from lab.report import command_line, report
from seedtune.runtime.batches.token_rows import WholeRows
from seedtune.runtime.batches.types import Feeder
from seedtune.runtime.bundle.reader import Bundle
from seedtune.runtime.estimators.two_sided import TwoSided
from seedtune.runtime.loop.sampler import Sampler
from seedtune.runtime.model.evaluation import evaluate
from seedtune.runtime.model.feeders import CacheOptions, open_feeder
from seedtune.runtime.run.settings import Settings
from seedtune.runtime.task.example import Example

WHAT = "what scope suffix saves, on the demo's reviews"
BAR = {
    "probe, scope all / scope suffix": ">= 7",
    "cache / one plain forward": "<= 1.3",
    "log-probabilities at state zero, fp32 prefixes": "<= 1e-4",
}

TOKENS_PER_CALL = Settings().rows_per_call // 2
CACHED_ROWS, COMPARED_ROWS = 512, 256
# Both scopes are watched for about the same time a round, so that one stall of the machine does not decide.
REPEATS = {"all": 1, "suffix": 6}


def main() -> None:
    """Measures and reports."""
    parser = command_line(__file__, __doc__, BAR)
    parser.add_argument("--rows", type=int, default=128, help="examples a probe")
    parser.add_argument("--rounds", type=int, default=5, help="probes of each scope, in turns")
    options = parser.parse_args()
    bundles = {"all": smollm2.bundle(), "suffix": smollm2.bundle(scope="suffix")}
    with tempfile.TemporaryDirectory(dir=smollm2.OUTPUT) as folder:
        rows = smollm2.reviews(bundles["suffix"])[:CACHED_ROWS]
        whole = smollm2.reviews(bundles["all"])[:CACHED_ROWS]
        cache_seconds, feeder = build_cache(bundles["suffix"], rows, Path(folder))
        forward_seconds = plain_forward(bundles["all"], whole)
        first_reading_seconds = read_once(feeder)
        feeders: dict[str, Feeder] = {"all": WholeRows(whole, padding_id(bundles["all"])), "suffix": feeder}
        times, tokens = probes(bundles, feeders, options.rows, options.rounds)
    speedup = statistics.median(a / b for a, b in zip(times["all"], times["suffix"], strict=True))
    errors = {storage: zero_state_error(bundles["all"], storage) for storage in ("fp32", "fp16")}
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
                (name := f"log-probabilities at state zero, {storage} prefixes", f"{error:.1e}", BAR.get(name, ""))
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


def padding_id(bundle: Bundle) -> int:
    """What fills short rows."""
    return bundle.manifest.objective.model.padding_id


def build_cache(bundle: Bundle, rows: list[Example], folder: Path) -> tuple[float, Feeder]:
    """Seconds to build the cache of ``rows``, session included, and what reads it."""
    started = time.perf_counter()
    feeder = open_feeder(bundle, rows, cache=CacheOptions(folder))
    return time.perf_counter() - started, feeder


def read_once(feeder: Feeder) -> float:
    """Seconds to make batches of all rows for the first time."""
    started = time.perf_counter()
    for _batch in feeder.batches(range(CACHED_ROWS), TOKENS_PER_CALL):
        pass
    return time.perf_counter() - started


def plain_forward(bundle: Bundle, rows: list[Example]) -> float:
    """Seconds of one evaluation of ``rows`` by the untouched model over whole rows, session included."""
    started = time.perf_counter()
    state = np.zeros(bundle.manifest.state.parameters, np.float32)
    evaluate(bundle.graph("eval"), state, WholeRows(rows, padding_id(bundle)), rows=TOKENS_PER_CALL)
    return time.perf_counter() - started


def probes(
    bundles: dict[str, Bundle], feeders: dict[str, Feeder], count: int, rounds: int
) -> tuple[dict[str, list[float]], dict[str, int]]:
    """Milliseconds of probes of the same examples by scope, batches included, and tokens of one side."""
    estimators = {scope: TwoSided(bundle.graph("probe"), Settings().epsilon) for scope, bundle in bundles.items()}
    states = {scope: np.zeros(bundle.manifest.state.parameters, np.float32) for scope, bundle in bundles.items()}
    sampler = Sampler(0, CACHED_ROWS, count)
    times: dict[str, list[float]] = {"all": [], "suffix": []}
    # The first turn pages weights and cache in.
    for turn in range(rounds + 1):
        for scope, estimator in estimators.items():
            started = time.perf_counter()
            for _repeat in range(REPEATS[scope]):
                estimator.measure(states[scope], turn, feeders[scope].batches(sampler.indices(turn), TOKENS_PER_CALL))
            if turn:
                times[scope].append((time.perf_counter() - started) * 1e3 / REPEATS[scope])
    last = sampler.indices(rounds)
    tokens = {
        scope: sum(batch.tokens for batch in feeder.batches(last, TOKENS_PER_CALL)) for scope, feeder in feeders.items()
    }
    return times, tokens


def zero_state_error(plain: Bundle, storage: str) -> float:
    """The largest difference of log-probabilities between scope suffix at state zero and the plain model."""
    suffix = smollm2.bundle(scope="suffix", prefix_storage=storage)  # type: ignore[arg-type]
    found = []
    for bundle in (plain, suffix):
        rows = smollm2.reviews(bundle, "validation")[:COMPARED_ROWS]
        state = np.zeros(bundle.manifest.state.parameters, np.float32)
        result = evaluate(bundle.graph("eval"), state, open_feeder(bundle, rows), rows=TOKENS_PER_CALL)
        assert result.probabilities is not None
        found.append(np.log(result.probabilities))
    return float(np.abs(found[0] - found[1]).max())


if __name__ == "__main__":
    main()
