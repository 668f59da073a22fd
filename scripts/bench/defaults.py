"""python scripts/bench defaults [--tasks NAME ...] [--ways NAME ...]: a run as it is by default against its probe.

Movie reviews, tweets and sayings (as in the bench accuracy): `seedtune run` with rows to learn from and held-out rows,
and nothing else than a way: no option at all; a budget; a budget and derivative-free steps; a budget and gradients.
Beside each stand the untouched model, logistic regression on its hidden state, and the linear probe that the run starts
from, on test rows that chose nothing: the difference from the latter is paired over them, with its 95 % interval.
Seeds are of the run; rows are the same. Every result is kept in a file as soon as it is there, and what is there is not
measured again.

Examples:
    python scripts/bench defaults --tasks reviews --ways plain --seeds 1 --no-record
    python scripts/bench defaults --ways probes --seeds 3
    python scripts/bench defaults --table
"""

from __future__ import annotations

import argparse
import statistics
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from lab.accuracy.against_probe import DefaultRuns
from lab.accuracy.corpora import SOURCES, Corpus, Sizes, corpora
from lab.accuracy.jobs import fingerprint
from lab.accuracy.results import Result, append_result, find_result, origin, read_results
from lab.models import GEMMA
from lab.report import command_line, report
from seedtune.runtime.errors import EXIT_CODE, SeedTuneError

WHAT = "a run as it is by default against its probe"
BAR = {
    "each run less probe, less zero-shot": ">= 0, but for noise",
    "reviews, probes: less the linear probe": ">= 1 point",
    "others, probes: less the linear probe": ">= 0 points",
}
OUTPUT = Path("bench-output")
DATA = Path(__file__).parents[3] / "shared" / "data"
REGRESSION = "logistic_regression"
# Options of `Model.tune`; everything else is a default.
WAYS: dict[str, dict[str, Any]] = {
    "plain": {},
    "budget": {"budget": "5m"},
    "probes": {"budget": "10m", "estimator": "two-sided"},
    "gradient": {"budget": "5m", "estimator": "gradient"},
}


def main() -> None:
    """Measures and reports."""
    parser = command_line(__file__, __doc__, BAR)
    parser.add_argument(
        "--tasks", nargs="+", default=[], metavar="NAME", help=f"of {', '.join(SOURCES)}; all if left out"
    )
    parser.add_argument("--ways", nargs="+", choices=list(WAYS), default=list(WAYS))
    parser.add_argument("--seeds", type=int, default=5, help="of the runs")
    parser.add_argument("--train-rows", type=int, default=1024, help="at most, to learn from")
    parser.add_argument("--held-out-rows", type=int, default=256, help="at most, to choose by")
    parser.add_argument("--test-rows", type=int, default=1024, help="at most, to measure on")
    parser.add_argument("--data", type=Path, default=DATA, metavar="FOLDER", help="of the tweets")
    parser.add_argument(
        "--source", default="smollm2-135m-instruct", metavar="MODEL", help=f"as of seedtune export, or {GEMMA}"
    )
    parser.add_argument("--threads", type=int, help="of ONNX Runtime. Default: all processors")
    parser.add_argument("--table", action="store_true", help="measure nothing: a table of the results that are there")
    options = parser.parse_args()
    try:
        sizes = Sizes(options.train_rows, options.held_out_rows, options.test_rows)
        tasks = corpora(options.tasks, options.data, OUTPUT, sizes)
        found = list(_results(options, tasks))
    except SeedTuneError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(EXIT_CODE)
    _report(options, found)


def _results(options: argparse.Namespace, tasks: list[Corpus]) -> Iterator[Result]:
    """The first seed of everything first."""
    file = OUTPUT / "defaults" / "results.jsonl"
    runs: dict[str, DefaultRuns] = {}
    for seed in range(options.seeds):
        for task in tasks:
            for way in options.ways:
                key = {
                    "source": options.source,
                    "task": {"name": task.name, "sha256": fingerprint(task)},
                    "method": way,
                    "seed": seed,
                    "rows": {part: len(rows) for part, rows in task.rows.items()},
                    "settings": WAYS[way],
                }
                kept = find_result(read_results(file), key)
                if kept is None and not options.table:
                    if task.name not in runs:
                        folder = OUTPUT / "defaults" / f"{Path(options.source).name}-{task.name}-{fingerprint(task)}"
                        runs[task.name] = DefaultRuns(options.source, task, folder, options.threads)
                    outcome = runs[task.name].run(WAYS[way], seed).as_dict()
                    kept = Result(key, outcome, origin())
                    append_result(file, kept)
                    gain, probe = outcome["accuracy_gain"], outcome["linear_probe"]
                    print(
                        f"{task.name}, {way}, seed {seed}: probe {probe['accuracy']:.1%}, {100 * gain['mean']:+.1f} ± "
                        f"{100 * gain['half_width']:.1f} points, {outcome['stands_for']}, {outcome['seconds']:.0f} s",
                        file=sys.stderr,
                        flush=True,
                    )
                if kept is not None:
                    yield kept


def _report(options: argparse.Namespace, found: list[Result]) -> None:
    groups: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for result in found:
        groups.setdefault((result.task, result.method), []).append(result.outcome)
    lines, figures = [], []
    for (task, way), outcomes in groups.items():
        mean = {
            side: statistics.fmean(outcome[side]["accuracy"] for outcome in outcomes)
            for side in ("zero_shot", "linear_probe", "tuned")
        }
        least = min(outcomes, key=lambda outcome: float(outcome["accuracy_gain"]["mean"]))["accuracy_gain"]
        gain = f"{100 * (mean['tuned'] - mean['linear_probe']):+.1f}"
        worst = f"{100 * least['mean']:+.1f} ± {100 * least['half_width']:.1f}"
        loss = statistics.fmean(outcome["loss_gain"]["mean"] for outcome in outcomes)
        kept = ", ".join(
            f"{count} {name}"
            for name in ("tuned", "linear-probe", "zero-shot")
            if (count := sum(outcome["stands_for"] == name for outcome in outcomes))
        )
        regression = next((outcome[REGRESSION]["accuracy"] for outcome in outcomes if REGRESSION in outcome), None)
        shares = [
            f"{mean['zero_shot']:.1%}",
            # Results from before it was measured have none.
            "-" if regression is None else f"{regression:.1%}",
            f"{mean['linear_probe']:.1%}",
            f"{mean['tuned']:.1%}",
        ]
        seconds = f"{statistics.fmean(outcome['seconds'] for outcome in outcomes):.0f} s"
        lines.append((task, way, *shares, gain, worst, f"{loss:+.3f}", kept, seconds))
        bar = ""
        if way == "probes":
            bar = BAR[f"{'reviews' if task == 'reviews' else 'others'}, probes: less the linear probe"]
        figures.append((f"{task}, {way}: less the linear probe, mean; least", f"{gain}; {worst}", bar))
    below = sum(
        _below(outcome["accuracy_gain"]) or outcome["accuracy"] < outcome["zero_shot"]["accuracy"]
        for outcome in (result.outcome for result in found)
    )
    everything = next(iter(BAR))
    figures.append((everything, f"{below} of {len(found)} runs below", BAR[everything]))
    report(
        f"Runs by default, {options.source}, {options.seeds} seeds at most, "
        f"{options.train_rows:,} rows to learn from, {options.test_rows:,} to measure on, at most",
        lines,
        {"results": [{"key": result.key, "outcome": result.outcome} for result in found]},
        (
            "task",
            "way",
            "zero-shot",
            "regression",
            "linear probe",
            "run",
            "gain",
            "least gain",
            "loss gain",
            "kept",
            "took",
        ),
        figures,
    )


def _below(gain: dict[str, float]) -> bool:
    return gain["mean"] + gain["half_width"] < 0


if __name__ == "__main__":
    main()
