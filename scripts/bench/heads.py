"""python scripts/bench heads [--graphs NAME ...] [--seeds N]: embeddings of graphs: the seed loop beside Adam.

Cora and Citeseer with the public split: features are bags of words, propagated twice along the edges and reduced to 64
numbers; positives are neighbours. W (64 x 64) is tuned by the seed loop with the objective's own settings, and by Adam
with exact gradients (torch) on the same head, over the same groups of rows. Both are judged by linear evaluation, and
so is the closed form: the features themselves, W the identity. The graphs are read from --data, where they are put
once; without them the bench says so. Intervals are of 95 %, by Student's t over the seeds.

Examples:
    python scripts/bench heads
    python scripts/bench heads --graphs cora --seeds 2 --steps 2000 --no-record
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from scipy import stats

import seedtune
from lab.contrastive_adam import STEPS, tuned_by_adam
from lab.graph_features import graph_features
from lab.report import command_line, report
from seedtune.runtime.bundle.reader import Bundle
from seedtune.runtime.errors import EXIT_CODE, SeedTuneError
from seedtune.runtime.generators import result_of
from seedtune.runtime.graphs.mapped import MappedGraphs
from seedtune.runtime.heads.rows import open_rows
from seedtune.runtime.model.head_evaluation import exam_of
from seedtune.runtime.telemetry.features import Score

WHAT = "embeddings of graphs: the seed loop beside Adam"
BAR = {"above the closed form, below Adam": ">= 2, <= 1.5 points"}
DATA = Path(__file__).parents[3] / "shared" / "data" / "graphs"
GRAPHS = ("cora", "citeseer")
# What is switched off, one at a time, beside the whole loss.
ABLATIONS: dict[str, dict[str, Any]] = {
    "without the collision fix": {"collision_fix": False},
    "without the imbalance fix": {"imbalance_fix": False},
    "InfoNCE": {"collision_fix": False, "imbalance_fix": False},
}


def main() -> None:
    """Measures and reports."""
    parser = command_line(__file__, __doc__, BAR)
    parser.add_argument("--graphs", nargs="+", choices=GRAPHS, default=list(GRAPHS))
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--steps", type=int, help="of the seed loop; its own number if left out")
    parser.add_argument("--ablations", action="store_true", help="also without each fix, by Adam")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--data", type=Path, default=DATA, metavar="FOLDER", help="of NAME.npz")
    options = parser.parse_args()
    missing = [name for name in options.graphs if not (options.data / f"{name}.npz").is_file()]
    if missing:
        print(f"error: there is no {missing[0]}.npz in {options.data}: give its folder with --data", file=sys.stderr)
        sys.exit(EXIT_CODE)
    rows: list[tuple[str, str, str]] = []
    found: dict[str, Any] = {}
    try:
        for name in options.graphs:
            found[name] = _measure(name, options, rows)
    except SeedTuneError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(EXIT_CODE)
    report(f"Contrastive embeddings, {options.seeds} seeds, test accuracy by linear evaluation", rows, found)


def _measure(name: str, options: argparse.Namespace, rows: list[tuple[str, str, str]]) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder) / "features.npz"
        np.savez(source, **graph_features(options.data / f"{name}.npz"))  # type: ignore[arg-type]
        bundle = _exported(source, Path(folder) / "bundle")
        parameters, batch_size = bundle.manifest.state.parameters, bundle.manifest.objective.settings["batch_size"]
        closed = _test(bundle, np.zeros(parameters, np.float32))
        adam = [_test(bundle, tuned_by_adam(bundle, seed, batch_size)) for seed in range(options.seeds)]
        loop, seconds = [], []
        for seed in range(options.seeds):
            started = time.monotonic()
            loop.append(_tuned(bundle, Path(folder) / f"run-{seed}", seed, options))
            seconds.append(time.monotonic() - started)
        rows.append((f"{name}, closed form (W = identity)", _said([closed]), ""))
        rows.append((f"{name}, Adam, {STEPS} steps", _said(adam), ""))
        rows.append((f"{name}, seed loop", _said(loop), ""))
        accuracies = [np.mean([score.accuracy for score in scores]) for scores in (loop, [closed], adam)]
        ahead, behind = 100 * (accuracies[0] - accuracies[1]), 100 * (accuracies[2] - accuracies[0])
        reached = "reached" if ahead >= 2 and behind <= 1.5 else "missed"
        for figure, bar in BAR.items():
            rows.append((f"{name}, {figure}", f"{ahead:+.1f}, {behind:+.1f}: {reached}", bar))
        rows.append((f"{name}, seconds of a run", f"{np.median(seconds):.0f}", ""))
        others = {}
        for about, changes in ABLATIONS.items() if options.ablations else ():
            other = _exported(source, Path(folder) / about.replace(" ", "-"), **changes)
            scores = [_test(other, tuned_by_adam(other, seed, batch_size)) for seed in range(options.seeds)]
            rows.append((f"{name}, Adam {about}", _said(scores), ""))
            others[about] = [score.accuracy for score in scores]
    return {
        "closed_form": closed.accuracy,
        "adam": [score.accuracy for score in adam],
        "seed_loop": [score.accuracy for score in loop],
        "seed_loop_macro_f1": [score.macro_f1 for score in loop],
        "ablations": others,
        "seconds_of_a_run": float(np.median(seconds)),
    }


def _exported(source: Path, out: Path, **options: Any) -> Bundle:
    seedtune.export(source, objective="contrastive", out=out, **options)
    return Bundle.open(out)


def _tuned(bundle: Bundle, run: Path, seed: int, options: argparse.Namespace) -> Score:
    """Of the state that a run stands for."""
    given = {} if options.steps is None else {"steps": options.steps}
    with seedtune.open(bundle.path, threads=options.threads) as model:
        for _event in model.tune(out=run, seed=seed, **given):
            pass
        return _test(bundle, model.state.values)


def _test(bundle: Bundle, state: np.ndarray) -> Score:
    """Linear evaluation on the test rows at ``state`` [n]."""
    quality = result_of(exam_of(open_rows(bundle)).evaluating(MappedGraphs(bundle, 1), state)).quality
    assert quality is not None
    assert quality.test is not None
    return quality.test


def _said(scores: Sequence[Score]) -> str:
    """Mean accuracy with its interval, and mean macro-F1."""
    values = np.array([score.accuracy for score in scores])
    f1 = np.mean([score.macro_f1 for score in scores])
    half = ""
    if len(values) > 1:
        half = f" ± {100 * stats.t.ppf(0.975, len(values) - 1) * values.std(ddof=1) / len(values) ** 0.5:.1f}"
    return f"{values.mean():.1%}{half}, macro-F1 {f1:.3f}"


if __name__ == "__main__":
    main()
