"""./scripts/demo --completion: tune SmolLM2-135M to define words as a cynic does; what it says before and after.

Tuned along exact gradients at the response's tokens (forward operators only), or with --estimator two-sided by probes.
Ends with one JSON line: loss_before, loss_tuned (a token of the response, in nats, on test rows that neither tuning nor
the choice of the best state has seen), their paired difference with a 95 % interval, what was generated for three words
of the test rows before and after, seconds_total, report.
"""

from __future__ import annotations

import argparse
import json
import shutil
import time
from pathlib import Path

from rich.table import Table

import seedtune
from completion_demo.definitions import write_splits
from lab.demo import command, console, heading
from seedtune.runtime.paired import paired_difference

TASK = Path(__file__).with_name("definition.toml")
# Words of the test rows that are shown: the first ones, so that nobody has picked them.
SHOWN = 3
MAX_TOKENS = 48


def main() -> None:
    """Runs the whole demo."""
    parser = argparse.ArgumentParser(
        prog="./scripts/demo --completion", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--out", type=Path, default=Path("demo-output/completion"), help="folder for everything that is made"
    )
    parser.add_argument("--steps", type=int, default=120, help="updates")
    parser.add_argument("--estimator", choices=("gradient", "two-sided"), default="gradient", help="how to find them")
    parser.add_argument("--seed", type=int, default=0, help="run seed")
    parser.add_argument("--started", type=float, default=time.time(), help=argparse.SUPPRESS)
    options = parser.parse_args()

    heading("1  Data: words, and what a cynic says they mean")
    data = write_splits(options.out / "data")
    for path in data.values():
        console.print(f"{path}  {sum(1 for _ in path.open())} rows", highlight=False)
    words = [json.loads(line)["word"] for line in data["test"].read_text("utf-8").splitlines()[:SHOWN]]

    heading("2  Export: SmolLM2-135M-Instruct becomes forward-only ONNX graphs")
    bundle, run, cache = (options.out / name for name in ("bundle", "run", "contexts"))
    command("export", "smollm2-135m-instruct", "--task", TASK, "--out", bundle, "--overwrite")

    heading("3  Before")
    with seedtune.open(bundle) as untouched:
        before = untouched.evaluate(data["test"], cache=cache)
        said_before = [said(untouched, word) for word in words]

    heading(f"4  Tune: {options.estimator}")
    shutil.rmtree(run, ignore_errors=True)
    command(
        "run", bundle, "--train", data["train"], "--eval", data["validation"], "--out", run,
        "--estimator", options.estimator, "--steps", options.steps, "--seed", options.seed,
        "--eval-every", max(1, options.steps // 6), "--cache", cache,
    )  # fmt: skip

    heading("5  After: the best state by validation loss, on the same test rows")
    with seedtune.open(run) as tuned:
        after = tuned.evaluate(data["test"], cache=cache)
        said_after = [said(tuned, word) for word in words]
    command("report", run)

    gain = paired_difference(before.losses, after.losses)
    show(words, said_before, said_after)
    console.print(
        f"\nLoss of a token: {before.loss:.3f} before, {after.loss:.3f} after; "
        f"{gain.mean:.3f} ± {gain.half_width:.3f} less on {len(before.losses)} test rows (paired, 95 %)",
        highlight=False,
    )
    print(
        json.dumps(
            {
                "loss_before": before.loss,
                "loss_tuned": after.loss,
                "gain": gain.mean,
                "gain_half_width": gain.half_width,
                "test_rows": len(before.losses),
                "generated": [
                    {"word": word, "before": first, "after": second}
                    for word, first, second in zip(words, said_before, said_after, strict=True)
                ],
                "seconds_total": time.time() - options.started,
                "report": str(run / "report.html"),
            }
        )
    )


def said(model: seedtune.Model, word: str) -> str:
    """What ``model`` says that ``word`` means: the likeliest token each time."""
    generation = model.generate({"word": word}, max_tokens=MAX_TOKENS, stop="\n")
    return "".join(generation).strip()


def show(words: list[str], before: list[str], after: list[str]) -> None:
    """What was generated, as a table."""
    table = Table(title="What the model says", show_lines=True)
    for column in ("", "before", "after"):
        table.add_column(column)
    for row in zip(words, before, after, strict=True):
        table.add_row(*row)
    console.print()
    console.print(table)


if __name__ == "__main__":
    main()
