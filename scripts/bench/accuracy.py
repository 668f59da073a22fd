"""python scripts/bench accuracy [--tasks NAME ...] [--methods NAME ...] [--table]: which method reaches which accuracy.

Movie reviews (2 classes), tweets (irony, 2 classes; sentiment, 3 classes) and sayings by topic (7 classes): rows to
learn from, rows that choose, and rows that are only measured on. Methods: zero-shot, plain and calibrated; logistic
regression on frozen hidden states; LoRA with AdamW everywhere and inside several reaches; MeZO; seedtune run.

Every result is appended to a file as soon as it is there, and what is there is not measured again: a stop loses
nothing, and the same command goes on. --table makes the tables of what is there. The tweets are read from --data, and
are left out, which is said, where that folder has them not. OMP_NUM_THREADS is 1 unless it is set: two threads that
wait for each other on busy cores are ten times slower than one.

Examples:
    python scripts/bench accuracy --tasks reviews --seeds 1
    python scripts/bench accuracy --methods "linear probe" "LoRA last/10"
    python scripts/bench accuracy --table --no-record
    python scripts/bench accuracy --templates --no-record
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

WHAT = "which method reaches which accuracy"
BAR = {
    "last/10 above everywhere, mean": ">= -1.0 points",
    "last/10 above everywhere, each task": ">= -1.5 points",
}

if "OMP_NUM_THREADS" not in os.environ:
    # Read once, when the libraries behind numpy, scikit-learn and torch are loaded.
    os.environ["OMP_NUM_THREADS"] = "1"

from lab.accuracy import curves, table  # noqa: E402
from lab.accuracy.catalogue import EVERYWHERE, METHODS, methods  # noqa: E402
from lab.accuracy.corpora import SOURCES, Corpus, Sizes, corpora  # noqa: E402
from lab.accuracy.jobs import Plan, run_jobs  # noqa: E402
from lab.accuracy.language_model import LanguageModel  # noqa: E402
from lab.accuracy.method import Budget  # noqa: E402
from lab.accuracy.templates import tried  # noqa: E402
from lab.models import GEMMA  # noqa: E402
from lab.report import command_line, report, show  # noqa: E402
from seedtune.runtime.errors import EXIT_CODE, SeedTuneError  # noqa: E402

OUTPUT = Path("bench-output")
DATA = Path(__file__).parents[3] / "shared" / "data"
INSIDE = "LoRA last/10"


def main() -> None:
    """Measures and reports."""
    options = _options()
    try:
        found = corpora(
            options.tasks, options.data, OUTPUT, Sizes(options.train_rows, options.validation_rows, options.test_rows)
        )
        if options.templates:
            _try_templates(LanguageModel.opened(options.source, half=options.half), found)
            return
        plan = Plan(
            options.source,
            options.half,
            found,
            methods(options.methods),
            options.seeds,
            Budget(options.epochs, options.steps, options.learning_rate),
            OUTPUT / "accuracy",
            options.results,
        )
        if not options.table:
            for result in run_jobs(plan):
                outcome = result.outcome
                words = f"{result.task}, {result.method}, seed {result.seed}: {outcome['accuracy']:.1%}"
                print(f"{words}, loss {outcome['loss']:.3f}, {outcome['seconds']:.1f} s", file=sys.stderr, flush=True)
        _report(plan)
    except SeedTuneError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(EXIT_CODE)


def _options() -> argparse.Namespace:
    parser = command_line(__file__, __doc__, BAR)
    parser.add_argument(
        "--tasks", nargs="+", default=[], metavar="NAME", help=f"of {', '.join(SOURCES)}; all if left out"
    )
    parser.add_argument("--methods", nargs="+", default=[], metavar="NAME", help=f"of {'; '.join(METHODS)}")
    parser.add_argument("--seeds", type=int, default=3, help="of every method that has one")
    parser.add_argument("--train-rows", type=int, default=512, help="at most, to learn from")
    parser.add_argument("--validation-rows", type=int, default=128, help="at most, to choose by")
    parser.add_argument("--test-rows", type=int, default=512, help="at most, to measure on")
    parser.add_argument("--epochs", type=int, default=3, help="of first-order methods")
    parser.add_argument("--learning-rate", type=float, help="of every method that has one, instead of its own")
    parser.add_argument("--steps", type=int, default=300, help="of derivative-free methods")
    parser.add_argument("--data", type=Path, default=DATA, metavar="FOLDER", help="of the tweets; default %(default)s")
    parser.add_argument(
        "--source", default="smollm2-135m-instruct", metavar="MODEL", help=f"as of seedtune export, or {GEMMA}"
    )
    parser.add_argument(
        "--half", action="store_true", help="products with frozen matrices in bfloat16: for processors with AMX"
    )
    parser.add_argument(
        "--results", type=Path, default=OUTPUT / "accuracy" / "results.jsonl", metavar="FILE", help="read, and added to"
    )
    parser.add_argument("--table", action="store_true", help="measure nothing: tables of the results that are there")
    parser.add_argument("--templates", action="store_true", help="try the templates of the tasks instead")
    return parser.parse_args()


def _report(plan: Plan) -> None:
    there = plan.there()
    found = table.cells(there)
    names = [corpus.name for corpus in plan.corpora]
    order = [method.name for method in plan.methods]
    rows = {name: len(one.rows["test"]) for name, one in zip(names, plan.corpora, strict=True)}
    show(
        "What it took: mean of the tasks",
        ("", "example passes", "learning", "peak memory"),
        table.cost_rows(found, order),
    )
    differences = table.difference_rows(found, order, names, EVERYWHERE)
    if differences:
        show(f"Points above {EVERYWHERE}", ("", *names, "mean"), differences)
    accuracies = table.accuracy_rows(found, order, names)
    figures = [(f"{method}: {', '.join(names)}", ", ".join(of_tasks), "") for method, *of_tasks in accuracies]
    for method, *of_tasks, mean in differences:
        whole, each = BAR.values() if method == INSIDE else ("", "")
        figures.append((f"{method} above {EVERYWHERE}, {', '.join(names)}", ", ".join(of_tasks), each))
        figures.append((f"{method} above {EVERYWHERE}, mean of the tasks", mean, whole))
    drawn = curves.drawn([result for result in there if result.outcome["curve"]], OUTPUT / "accuracy")
    report(
        f"Accuracy in % on {', '.join(f'{count} {name}' for name, count in rows.items())}; ± 95 % over (seeds)",
        accuracies,
        {"results": [{"key": result.key, "outcome": _short(result.outcome)} for result in there], "curves": drawn},
        ("", *names),
        figures,
    )


def _short(outcome: dict[str, object]) -> dict[str, object]:
    return {name: value for name, value in outcome.items() if name not in ("correct", "curve")}


def _try_templates(model: LanguageModel, corpora: list[Corpus]) -> None:
    found = [one for each in corpora for one in tried(model, each)]
    rows = [
        (one.task, repr(one.template), ",".join(one.words), f"{one.accuracy:.1%}", f"{one.loss:.3f}") for one in found
    ]
    report(
        "Zero-shot on validation rows",
        rows,
        {"templates": [vars(one) for one in found]},
        ("task", "template", "words", "accuracy", "loss"),
        [(f"{task}: {template} {words}", accuracy, "") for task, template, words, accuracy, _ in rows],
    )


if __name__ == "__main__":
    main()
