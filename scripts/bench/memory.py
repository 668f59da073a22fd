"""python scripts/bench memory [BUNDLE] [--cap 512M 256M] [--jvm] [-- OPTIONS]: what a run holds, free and under a cap.

With a BUNDLE: the real ``seedtune run`` on rows of so many tokens, one probe and one update a step, first without a cap
and then under each cap: a memory cgroup's hard limit on everything, page cache included (`lab/memory_cap.py`). Caches
are dropped before each run. Where a cap cannot be enforced it says so and ends. Needs root; M is 10^6 bytes, Mi 2^20.
What follows ``--`` goes to ``seedtune run``. An option that holds ``{cap}``, such as ``--memory-limit={cap}``, gets the
cap in bytes, and is left out without one.

Without a BUNDLE: RssAnon of a run on SmolLM2 and demo rows with calls of at most 1,024 token rows, seen from outside.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from lab import page_cache
from lab.capped_run import TuningRun, tune_under
from lab.engine_process import engine_command
from lab.memory_cap import CapError
from lab.module_process import run_module
from lab.process_memory import Watch
from lab.report import command_line, megabytes, report
from seedtune.runtime.errors import SeedTuneError
from seedtune.runtime.sizes import size_bytes

WHAT = "what a run holds, free and under a cap"
BAR = {
    "without a BUNDLE, peak RssAnon": "<= 200 MB",
}

OUTPUT = Path("bench-output")


def main() -> None:
    """Measures and reports."""
    place = sys.argv.index("--") if "--" in sys.argv else len(sys.argv)
    own, further = sys.argv[1:place], sys.argv[place + 1 :]
    parser = command_line(__file__, __doc__, BAR)
    parser.add_argument("bundle", nargs="?", type=Path, metavar="BUNDLE")
    parser.add_argument("--cap", nargs="+", default=[], metavar="SIZE", help="hard limits, such as 512M 256M")
    parser.add_argument("--rows", type=int, default=8, help="examples a step")
    parser.add_argument("--tokens", type=int, default=64, help="of each example")
    parser.add_argument("--probes", type=int, default=3, help="steps of each run")
    parser.add_argument("--jvm", action="store_true", help="the Kotlin engine instead of seedtune run (JDK 17, Maven)")
    parser.add_argument("--timeout", type=float, default=1800, metavar="SECONDS", help="when to stop a run")
    parser.add_argument("--steps", type=int, default=12, help="steps of the run without a BUNDLE")
    options = parser.parse_args(own)
    if options.bundle is None:
        if options.cap or further:
            parser.error("--cap and options of seedtune run need a BUNDLE")
        return resident_memory(options.steps)
    if not options.bundle.is_dir():
        parser.error(f"{options.bundle} is no bundle folder")
    try:
        caps = [size_bytes(text, "--cap") for text in options.cap]
        return under_caps(options.bundle, caps, options, further)
    except (CapError, SeedTuneError) as error:
        sys.exit(str(error))


def under_caps(bundle: Path, caps: Sequence[int], options: argparse.Namespace, further: Sequence[str]) -> None:
    """Runs without a cap and under each of ``caps`` bytes, and reports."""
    weights = max((path for path in bundle.iterdir() if path.is_file()), key=lambda path: path.stat().st_size)
    OUTPUT.mkdir(exist_ok=True)
    command = engine_command(OUTPUT) if options.jvm else ()
    with tempfile.TemporaryDirectory(dir=OUTPUT) as name:
        folder = Path(name)
        rows = folder / "rows.jsonl"
        count = options.rows * options.probes
        try:
            run_module("lab.exact_rows", bundle, folder / "rows", "--rows", count, "--tokens", options.tokens)
        except subprocess.CalledProcessError:
            sys.exit(f"no rows of {options.tokens} tokens for {bundle}")
        given = ["--train", str(rows), "--steps", str(options.probes), "--batch-size", str(options.rows)]
        runs, rates = [], [page_cache.sequential_read_rate(weights)]
        for number, cap in enumerate((None, *caps)):
            filled = [text.replace("{cap}", str(cap)) for text in further if cap is not None or "{cap}" not in text]
            runs.append(tune_under(cap, bundle, [*given, *filled], folder / f"run-{number}", options.timeout, command))
            rates.append(page_cache.sequential_read_rate(weights))
    for run in runs:
        if run.message:
            print(f"{name_of(run)}: {run.outcome}: {run.message}", file=sys.stderr)
    known = [rate for rate in rates if rate is not None]
    rate = f"{min(known) / 1e6:,.0f} to {max(known) / 1e6:,.0f} MB/s" if known else "storage without O_DIRECT"
    size = weights.stat().st_size
    report(
        f"{bundle}: steps of {options.rows} x {options.tokens} tokens; weights {megabytes(size)}, read at {rate}",
        table(runs),
        {
            "bundle": str(bundle),
            "rows": options.rows,
            "tokens": options.tokens,
            "engine": "jvm" if options.jvm else "python",
            "options": list(further),
            "weights_bytes": size,
            "read_rate_bytes_per_second": rates,
            "runs": [figures(run, runs[0]) for run in runs],
        },
        ("", *(name_of(run) for run in runs)),
        [figure(run, runs[0]) for run in runs],
    )


def table(runs: Sequence[TuningRun]) -> list[list[str]]:
    """One line a figure, one column a run; the first run is what the others are compared with."""
    every = [figures(run, runs[0]) for run in runs]

    def line(name: str, key: str, form: str) -> list[str]:
        return [name, *("-" if one[key] is None else form.format(one[key]) for one in every)]

    def sizes(name: str, key: str) -> list[str]:
        return [name, *(megabytes(one[key]) for one in every)]

    return [
        line("outcome", "outcome", "{}"),
        line("steps made", "steps", "{}"),
        line("first step", "first_step_seconds", "{:.2f} s"),
        line("median of the others", "other_steps_seconds", "{:.2f} s"),
        line("against no cap", "ratio", "{:.2f}"),
        ["same losses", *({True: "yes", False: "no", None: "-"}[one["same_losses"]] for one in every)],
        line("whole run", "seconds", "{:.1f} s"),
        sizes("RssAnon peak", "rss_anon_peak_bytes"),
        sizes("RssFile peak (mapped, whoever pays)", "rss_file_peak_bytes"),
        sizes("VmHWM", "vm_hwm_bytes"),
        sizes("cgroup peak (everything)", "cgroup_peak_bytes"),
        sizes("read from storage", "read_bytes"),
        sizes("of it in a step, median", "step_read_bytes_median"),
        line("major faults", "major_faults", "{:,}"),
        line("pages dropped and read again", "refaulted_pages", "{:,}"),
    ]


def figures(run: TuningRun, uncapped: TuningRun) -> dict[str, Any]:
    """A run as JSON."""
    process = asdict(run.process)
    del process["stdout"], process["stderr"]
    read = sorted(run.step_read_bytes)
    return process | {
        "cap_bytes": run.cap_bytes,
        "outcome": run.outcome,
        "message": run.message,
        "steps": len(run.step_seconds),
        "first_step_seconds": run.step_seconds[0] if run.step_seconds else None,
        "other_steps_seconds": run.other_steps_seconds,
        "ratio": run.ratio(uncapped),
        "same_losses": run.losses == uncapped.losses[: len(run.losses)] if run.losses else None,
        "step_read_bytes_median": read[len(read) // 2] if read else None,
    }


def figure(run: TuningRun, uncapped: TuningRun) -> tuple[str, str, str]:
    """A run in a line: (heading, what became of it, no bar)."""
    found = [run.outcome]
    if run.other_steps_seconds is not None:
        found.append(f"{run.other_steps_seconds:.2f} s a step")
    if run is not uncapped and (ratio := run.ratio(uncapped)) is not None:
        found.append(f"{ratio:.2f} times no cap")
    found.append(f"RssAnon {megabytes(run.process.rss_anon_peak_bytes)}")
    found.append(f"everything {megabytes(run.process.cgroup_peak_bytes)}")
    return name_of(run), ", ".join(found), ""


def name_of(run: TuningRun) -> str:
    """The heading of a run's column."""
    return "no cap" if run.cap_bytes is None else megabytes(run.cap_bytes)


def resident_memory(steps: int) -> None:
    """RssAnon of a run on the demo's rows, against its bar."""
    # Imported here: under a cap, pages of libraries that this process has mapped would be free of charge.
    from lab import smollm2

    bundle, data = smollm2.exported(), smollm2.data()
    run = OUTPUT / "memory-run"
    shutil.rmtree(run, ignore_errors=True)
    command = [str(Path(sys.executable).with_name("seedtune")), "run", str(bundle), "--json"]
    command += ["--train", str(data["train"]), "--eval", str(data["validation"]), "--out", str(run)]
    command += ["--steps", str(steps), "--eval-every", str(steps), "--rows-per-call", "1024"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    with Watch(process.pid) as watch:
        printed, _ = process.communicate()
    if process.returncode:
        sys.exit(f"seedtune run ended with exit code {process.returncode}")
    inside = json.loads(printed.splitlines()[-1])["rss_anon_peak_bytes"]
    report(
        f"Memory of seedtune run, SmolLM2-135M, {steps} steps of 32 rows in calls of 1,024 token rows",
        [
            ("RssAnon peak, from outside", megabytes(watch.peak["RssAnon"]), BAR["without a BUNDLE, peak RssAnon"]),
            ("RssAnon peak, as the run reports it", megabytes(inside), ""),
            ("RssFile peak (weights: clean, droppable)", megabytes(watch.peak["RssFile"]), ""),
        ],
        {
            "rss_anon_peak_bytes": watch.peak["RssAnon"],
            "rss_file_peak_bytes": watch.peak["RssFile"],
            "vm_rss_peak_bytes": watch.peak["VmRSS"],
            "reported_rss_anon_peak_bytes": inside,
        },
    )


if __name__ == "__main__":
    main()
