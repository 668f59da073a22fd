"""python scripts/bench_memory.py [--steps 12]: RssAnon of a tuning process, sampled from outside.

Runs ``seedtune run`` on demo rows with calls of at most 1,024 token rows, and reads /proc/PID/status every 5 ms.
Bar: RssAnon peak at most 200 MB.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
import time
from pathlib import Path

import bench_support
import demo_data

KINDS = ("RssAnon", "RssFile", "VmRSS")


def main() -> None:
    """Measures and reports."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=12, help="steps of the run")
    steps = parser.parse_args().steps
    bundle = bench_support.bundle()
    data = demo_data.main(bench_support.OUTPUT / "data")
    run = bench_support.OUTPUT / "memory-run"
    shutil.rmtree(run, ignore_errors=True)
    command = [str(Path(sys.executable).with_name("seedtune")), "run", str(bundle.path), "--json"]
    command += ["--train", str(data["train"]), "--eval", str(data["validation"]), "--out", str(run)]
    command += ["--steps", str(steps), "--eval-every", str(steps), "--rows-per-call", "1024"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    peaks = dict.fromkeys(KINDS, 0)
    while process.poll() is None:
        for kind, value in memory_of(process.pid).items():
            peaks[kind] = max(peaks[kind], value)
        time.sleep(0.005)
    assert process.stdout is not None
    inside = json.loads(process.stdout.read().splitlines()[-1])["rss_anon_peak_bytes"]
    bench_support.report(
        f"Memory of seedtune run, SmolLM2-135M, {steps} steps of 32 rows in calls of 1,024 token rows",
        [
            ("RssAnon peak, from outside", f"{peaks['RssAnon'] / 1e6:.0f} MB", "<= 200 MB"),
            ("RssAnon peak, as the run reports it", f"{inside / 1e6:.0f} MB", ""),
            ("RssFile peak (weights: clean, droppable)", f"{peaks['RssFile'] / 1e6:.0f} MB", ""),
        ],
        {
            "rss_anon_peak_bytes": peaks["RssAnon"],
            "rss_file_peak_bytes": peaks["RssFile"],
            "vm_rss_peak_bytes": peaks["VmRSS"],
            "reported_rss_anon_peak_bytes": inside,
        },
    )


def memory_of(pid: int) -> dict[str, int]:
    """The kinds of resident memory of a process, in bytes; empty when it has gone."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return {}
    pairs = (line.split(":", 1) for line in lines if line.startswith(KINDS))
    return {kind: int(value.split()[0]) * 1024 for kind, value in pairs}


if __name__ == "__main__":
    main()
