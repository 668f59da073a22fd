"""./scripts/demo: export SmolLM2-135M, tune it on movie reviews with forward passes only, compare before and after.

It is tuned twice from the same start: by two-sided probes, and by exact gradients within the same reach, which a graph
of forward operators computes. Ends with one JSON line: accuracy_zero_shot, accuracy_linear_probe, accuracy_tuned,
accuracy_gradient (on the same test rows, which neither tuning nor the choice of the best state has seen), p_value and
p_value_gradient (exact McNemar test against zero-shot), seconds_total, report.
"""

from __future__ import annotations

import argparse
import json
import shutil
import time
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from rich.table import Table
from sklearn.linear_model import LogisticRegressionCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import seedtune
from lab.demo import command, console, heading
from review_demo.reviews import SIZES, write_splits
from seedtune.runtime.report.statistics import paired_comparison, wilson_interval

# Rows of the training set that the linear probe learns from: as many as the run sees at most.
PROBE_ROWS = 1024


def main() -> None:
    """Runs the whole demo."""
    parser = argparse.ArgumentParser(
        prog="./scripts/demo", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", type=Path, default=Path("demo-output"), help="folder for everything that is made")
    parser.add_argument("--steps", type=int, default=400, help="updates by probes; half as many by gradients")
    parser.add_argument("--seed", type=int, default=0, help="run seed")
    parser.add_argument("--started", type=float, default=time.time(), help=argparse.SUPPRESS)
    options = parser.parse_args()

    heading("1  Data: movie-review snippets, rated by people")
    data = write_splits(options.out / "data")
    for name, path in data.items():
        console.print(f"{path}  {SIZES[name]} rows", highlight=False)

    heading("2  Export: SmolLM2-135M-Instruct becomes forward-only ONNX graphs")
    bundle, cache = options.out / "bundle", options.out / "contexts"
    runs = {"two-sided": options.out / "run", "gradient": options.out / "run-gradient"}
    command("export", "smollm2-135m-instruct", "--task", "sentiment", "--out", bundle, "--overwrite")

    heading("3  Before: zero-shot accuracy, and a linear probe on the frozen hidden state")
    with seedtune.open(bundle) as untouched:
        # What this computes of the rows, all that follows reads from the cache.
        zero_shot = untouched.evaluate(data["test"], want_hidden=True, cache=cache)
        features = untouched.evaluate(data["train"], want_hidden=True, cache=cache)
    probe_accuracy = linear_probe(features, zero_shot)

    heading("4  Tune: two-sided forward passes, no gradients; and gradients by forward operators, beside them")
    for estimator, steps in (("two-sided", options.steps), ("gradient", max(1, options.steps // 2))):
        shutil.rmtree(runs[estimator], ignore_errors=True)
        command(
            "run", bundle, "--train", data["train"], "--eval", data["validation"], "--out", runs[estimator],
            "--estimator", estimator, "--steps", steps, "--seed", options.seed, "--eval-every", 50, "--cache", cache,
        )  # fmt: skip

    heading("5  After: the best state of each by validation loss, on the same test rows")
    tuned = {}
    for estimator, run in runs.items():
        with seedtune.open(run) as best:
            tuned[estimator] = best.evaluate(data["test"], cache=cache)
        command("report", run)

    compared = {
        name: paired_comparison(zero_shot.correct.tolist(), found.correct.tolist()) for name, found in tuned.items()
    }
    show(zero_shot, probe_accuracy, tuned, {name: one.p_value for name, one in compared.items()})
    print(
        json.dumps(
            {
                "accuracy_zero_shot": zero_shot.accuracy,
                "accuracy_linear_probe": probe_accuracy,
                "accuracy_tuned": tuned["two-sided"].accuracy,
                "accuracy_gradient": tuned["gradient"].accuracy,
                "p_value": compared["two-sided"].p_value,
                "p_value_gradient": compared["gradient"].p_value,
                "test_rows": len(zero_shot.labels),
                "fixed": compared["two-sided"].fixed,
                "broken": compared["two-sided"].broken,
                "seconds_total": time.time() - options.started,
                "report": str(runs["two-sided"] / "report.html"),
            }
        )
    )


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


def show(
    zero_shot: seedtune.Evaluation,
    probe_accuracy: float,
    tuned: Mapping[str, seedtune.Evaluation],
    p_values: Mapping[str, float],
) -> None:
    """The result as a table; ``tuned`` and ``p_values`` by the name of the estimator."""
    total = len(zero_shot.labels)
    table = Table(title=f"Accuracy on {total} held-out reviews")
    for column in ("", "accuracy", "95 % interval", "p against zero-shot"):
        table.add_column(column)
    for name, accuracy, p_value in (
        ("zero-shot", zero_shot.accuracy, None),
        ("linear probe on the frozen model", probe_accuracy, None),
        *((f"tuned, --estimator {name}", found.accuracy, p_values[name]) for name, found in tuned.items()),
    ):
        low, high = wilson_interval(round(accuracy * total), total)
        table.add_row(name, f"{accuracy:.1%}", f"{low:.1%} to {high:.1%}", "" if p_value is None else f"{p_value:.2g}")
    console.print()
    console.print(table)


if __name__ == "__main__":
    main()
