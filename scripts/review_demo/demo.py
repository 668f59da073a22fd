"""./scripts/demo: export SmolLM2-135M, tune it on movie reviews with forward passes only, compare before and after.

Ends with one JSON line: accuracy_zero_shot, accuracy_linear_probe, accuracy_tuned (on the same test rows, which
neither tuning nor the choice of the best state has seen), p_value (exact McNemar test, zero-shot against tuned),
seconds_total, report.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table
from sklearn.linear_model import LogisticRegressionCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import seedtune
from review_demo.reviews import SIZES, write_splits
from seedtune.runtime.report.statistics import paired_comparison, wilson_interval

SEEDTUNE = str(Path(sys.executable).with_name("seedtune"))
# Rows of the training set that the linear probe learns from: as many as the run sees at most.
PROBE_ROWS = 1024
console = Console(stderr=True)


def main() -> None:
    """Runs the whole demo."""
    parser = argparse.ArgumentParser(
        prog="./scripts/demo", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", type=Path, default=Path("demo-output"), help="folder for everything that is made")
    parser.add_argument("--steps", type=int, default=400, help="updates to make")
    parser.add_argument("--seed", type=int, default=0, help="run seed")
    parser.add_argument("--started", type=float, default=time.time(), help=argparse.SUPPRESS)
    options = parser.parse_args()

    heading("1  Data: movie-review snippets, rated by people")
    data = write_splits(options.out / "data")
    for name, path in data.items():
        console.print(f"{path}  {SIZES[name]} rows", highlight=False)

    heading("2  Export: SmolLM2-135M-Instruct becomes forward-only ONNX graphs")
    bundle, run, cache = options.out / "bundle", options.out / "run", options.out / "contexts"
    command("export", "smollm2-135m-instruct", "--task", "sentiment", "--out", bundle, "--overwrite")

    heading("3  Before: zero-shot accuracy, and a linear probe on the frozen hidden state")
    with seedtune.open(bundle) as untouched:
        zero_shot = untouched.evaluate(data["test"], want_hidden=True)
        # What this computes of the rows, the run reads from the cache.
        features = untouched.evaluate(data["train"], want_hidden=True, cache=cache)
    probe_accuracy = linear_probe(features, zero_shot)

    heading("4  Tune: two-sided forward passes, no gradients")
    shutil.rmtree(run, ignore_errors=True)
    command(
        "run", bundle, "--train", data["train"], "--eval", data["validation"], "--out", run,
        "--steps", options.steps, "--seed", options.seed, "--eval-every", 50, "--cache", cache,
    )  # fmt: skip

    heading("5  After: the best state by validation loss, on the same test rows")
    with seedtune.open(run) as best:
        tuned = best.evaluate(data["test"])
    command("report", run)

    comparison = paired_comparison(zero_shot.correct.tolist(), tuned.correct.tolist())
    show(zero_shot, probe_accuracy, tuned, comparison.p_value)
    print(
        json.dumps(
            {
                "accuracy_zero_shot": zero_shot.accuracy,
                "accuracy_linear_probe": probe_accuracy,
                "accuracy_tuned": tuned.accuracy,
                "p_value": comparison.p_value,
                "test_rows": len(zero_shot.labels),
                "fixed": comparison.fixed,
                "broken": comparison.broken,
                "seconds_total": time.time() - options.started,
                "report": str(run / "report.html"),
            }
        )
    )


def heading(text: str) -> None:
    """A section of the demo's output."""
    console.print(f"\n[bold]{text}[/]", highlight=False)


def command(*arguments: object) -> None:
    """Runs the command line, as a user would; stops the demo if it fails."""
    words = list(map(str, arguments))
    console.print("$ seedtune " + " ".join(words), style="dim", highlight=False, soft_wrap=True)
    done = subprocess.run([SEEDTUNE, *words], check=False)
    if done.returncode:
        sys.exit(done.returncode)


def linear_probe(train: seedtune.Evaluation, test: seedtune.Evaluation) -> float:
    """Test accuracy of logistic regression on the frozen last hidden state, its strength chosen by cross-validation.

    It learns from the first PROBE_ROWS rows of ``train``.
    """
    assert train.hidden is not None
    assert test.hidden is not None
    model = make_pipeline(
        StandardScaler(), LogisticRegressionCV(Cs=np.logspace(-4, 0, 5), cv=5, max_iter=1000, random_state=0)
    )
    model.fit(train.hidden[:PROBE_ROWS], train.labels[:PROBE_ROWS])
    return float((model.predict(test.hidden) == test.labels).mean())


def show(zero_shot: seedtune.Evaluation, probe_accuracy: float, tuned: seedtune.Evaluation, p_value: float) -> None:
    """The result as a table."""
    total = len(zero_shot.labels)
    table = Table(title=f"Accuracy on {total} held-out reviews")
    for column in ("", "accuracy", "95 % interval"):
        table.add_column(column)
    for name, accuracy in (
        ("zero-shot", zero_shot.accuracy),
        ("linear probe on the frozen model", probe_accuracy),
        ("tuned with forward passes", tuned.accuracy),
    ):
        low, high = wilson_interval(round(accuracy * total), total)
        table.add_row(name, f"{accuracy:.1%}", f"{low:.1%} to {high:.1%}")
    console.print()
    console.print(table)
    console.print(f"zero-shot against tuned, exact McNemar test: p = {p_value:.2g}", highlight=False)


if __name__ == "__main__":
    main()
