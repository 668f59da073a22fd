"""python scripts/bench engine [BUNDLE] [--estimator gradient]: the Kotlin engine on the JVM against Python.

The same run, in turns, each in a process of its own with the same threads: time of a step (probe and update, median),
and peak RssAnon of the process, both seen from outside. Journals must be equal to the byte. BUNDLE is SmolLM2-135M for
the sentiment task unless given. Needs JDK 17 and Maven.
"""

from __future__ import annotations

import json
import os
import shutil
import statistics
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

from lab import smollm2
from lab.engine_process import engine_command
from lab.process_memory import Watch
from lab.report import command_line, megabytes, report

WHAT = "the Kotlin engine on the JVM against Python"
BAR = {
    "time of a step, JVM / Python": "<= 1.05",
    "peak RssAnon, JVM - Python": "<= +60 MB",
}

# Steps at the beginning of each process that warm up compiler and caches.
WARM_UP = 2


@dataclass
class Runner:
    """One of the two, and what its turns took."""

    name: str
    milliseconds: list[float] = field(default_factory=list)
    peak_bytes: int = 0


def main() -> None:
    """Measures and reports."""
    parser = command_line(__file__, __doc__, BAR)
    parser.add_argument("bundle", nargs="?", type=Path, metavar="BUNDLE")
    parser.add_argument("--steps", type=int, default=6, help="of each turn, two of them to warm up")
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--batch-size", type=int, default=32)
    parser.add_argument("--estimator", default="two-sided", help="gradient needs a BUNDLE that has a graph for it")
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    options = parser.parse_args()
    bundle = options.bundle or smollm2.exported()
    train = smollm2.data()["train"]
    given = [str(bundle), "--train", str(train), "--threads", str(options.threads)]
    given += ["--steps", str(options.steps), "--batch-size", str(options.batch_size), "--estimator", options.estimator]
    # A linear probe has other last bits in each language, and journals name the file that it is kept in.
    given += ["--start", "zero"]
    runners = Runner("Python"), Runner("JVM")
    commands = (
        # The engine splits no rows off.
        [str(Path(sys.executable).with_name("seedtune")), "run", *given, "--held-out-rows", "0"],
        [*engine_command(smollm2.OUTPUT), *given],
    )
    for turn in range(options.rounds):
        folders = [smollm2.OUTPUT / f"engine-{runner.name}" for runner in runners]
        for runner, command, folder in zip(runners, commands, folders, strict=True):
            shutil.rmtree(folder, ignore_errors=True)
            watch(runner, [*command, "--out", str(folder)], folder)
        if (folders[0] / "journal.bin").read_bytes() != (folders[1] / "journal.bin").read_bytes():
            sys.exit(f"the journals of turn {turn + 1} differ")
    compare(bundle, options.estimator, *runners)


def watch(runner: Runner, command: list[str], folder: Path) -> None:
    """One turn."""
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    with Watch(process.pid) as watched:
        if process.wait():
            sys.exit(f"{runner.name} failed")
    steps = [json.loads(line) for line in (folder / "steps.jsonl").read_text().splitlines()]
    runner.milliseconds += [step["probe_ms"] + step["update_ms"] for step in steps[WARM_UP:]]
    runner.peak_bytes = max(runner.peak_bytes, watched.peak["RssAnon"])


def compare(bundle: Path, estimator: str, python: Runner, jvm: Runner) -> None:
    """Prints the table and the line of JSON."""
    medians = {runner.name: statistics.median(runner.milliseconds) for runner in (python, jvm)}
    ratio = medians["JVM"] / medians["Python"]
    more = jvm.peak_bytes - python.peak_bytes
    report(
        f"{bundle}: the same run by both ({estimator}), equal journals",
        [
            ("a step, Python", f"{medians['Python']:,.0f} ms", ""),
            (
                "a step, JVM",
                f"{medians['JVM']:,.0f} ms, {ratio:.3f} times",
                f"{BAR['time of a step, JVM / Python']} times",
            ),
            ("peak RssAnon, Python", megabytes(python.peak_bytes), ""),
            (
                "peak RssAnon, JVM",
                f"{megabytes(jvm.peak_bytes)}, {more / 1e6:+,.0f} MB",
                BAR["peak RssAnon, JVM - Python"],
            ),
        ],
        {
            "bundle": str(bundle),
            "estimator": estimator,
            "milliseconds": {runner.name: runner.milliseconds for runner in (python, jvm)},
            "ratio": ratio,
            "rss_anon_peak_bytes": {runner.name: runner.peak_bytes for runner in (python, jvm)},
        },
    )


if __name__ == "__main__":
    main()
