"""python scripts/bench export [SOURCE] [--storage int8] [--scope all] [--no-check]: time and memory of an export.

Runs the real ``seedtune export`` and watches it from outside. SOURCE is whatever export takes; SmolLM2-135M by default.
Peak RSS is the kernel's own account of the finished process and counts mapped pages of files too; what importing
torch takes by itself is measured the same way. With OPT-1.3B the import counts.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from lab import smollm2
from lab.process_memory import Watch
from lab.report import command_line, megabytes, report
from seedtune.runtime.bundle.objective import WEIGHTS

WHAT = "time and memory of an export"
BAR = {
    "SmolLM2-135M, time": "<= 60 s",
    "SmolLM2-135M, peak RSS beyond importing torch": "<= 2,000 MB",
    "SmolLM2-135M in float32, bundle beyond its weights": "<= 8 MB",
    "OPT-1.3B, time": "<= 180 s",
    "OPT-1.3B, peak RSS": "<= 3,000 MB",
}


@dataclass(frozen=True)
class Finished:
    """What a finished process took and said."""

    seconds: float
    peak_rss_bytes: int
    peak_rss_anon_bytes: int
    output: str


def main() -> None:
    """Measures and reports."""
    parser = command_line(__file__, __doc__, BAR)
    parser.add_argument("source", nargs="?", default=smollm2.SOURCE, metavar="SOURCE")
    parser.add_argument("--storage", default="fp32", help="as export's")
    parser.add_argument("--scope", default="all", help="as export's")
    parser.add_argument("--no-check", action="store_true", help="leave the comparison with transformers out")
    options = parser.parse_args()
    imported = finished([sys.executable, "-c", "import torch"])
    out = smollm2.OUTPUT / "export"
    shutil.rmtree(out, ignore_errors=True)
    command = [str(Path(sys.executable).with_name("seedtune")), "export", options.source, "--task", "sentiment"]
    command += ["--storage", options.storage, "--scope", options.scope, "--out", str(out), "--json"]
    export = finished([*command, *(["--no-check"] if options.no_check else [])])
    said = json.loads(export.output.splitlines()[-1])
    weights_bytes = (out / WEIGHTS).stat().st_size
    beyond_weights = said["size_bytes"] - 4 * said["parameters"]
    small = options.source == smollm2.SOURCE
    rows = [
        (
            "time",
            f"{export.seconds:.1f} s",
            BAR["SmolLM2-135M, time"] if small else f"{BAR['OPT-1.3B, time']} (OPT-1.3B)",
        ),
        ("peak RSS", megabytes(export.peak_rss_bytes), "" if small else f"{BAR['OPT-1.3B, peak RSS']} (OPT-1.3B)"),
        (
            "beyond importing torch",
            megabytes(export.peak_rss_bytes - imported.peak_rss_bytes),
            BAR["SmolLM2-135M, peak RSS beyond importing torch"] if small else "",
        ),
        ("peak RssAnon", megabytes(export.peak_rss_anon_bytes), ""),
        ("bundle", megabytes(said["size_bytes"]), ""),
    ]
    if small and options.storage == "fp32":
        bar = BAR["SmolLM2-135M in float32, bundle beyond its weights"]
        rows.append(("bundle beyond the model's weights", f"{beyond_weights / 1e6:.1f} MB", bar))
    report(
        f"seedtune export {options.source} --storage {options.storage} --scope {options.scope}"
        f" ({'without' if options.no_check else 'with'} the comparison)",
        rows,
        {
            "source": options.source,
            "storage": options.storage,
            "scope": options.scope,
            "checked": not options.no_check,
            "seconds": export.seconds,
            "peak_rss_bytes": export.peak_rss_bytes,
            "peak_rss_anon_bytes": export.peak_rss_anon_bytes,
            "peak_beyond_import_bytes": export.peak_rss_bytes - imported.peak_rss_bytes,
            "bundle_bytes": said["size_bytes"],
            "weights_file_bytes": weights_bytes,
        },
    )
    shutil.rmtree(out)


def finished(command: list[str]) -> Finished:
    """Runs ``command`` to its end; ends this process too when it fails."""
    start = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    with Watch(process.pid) as watch:
        output = process.stdout.read()
        _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        sys.exit(process.returncode)
    return Finished(time.perf_counter() - start, usage.ru_maxrss * 1024, watch.peak["RssAnon"], output)


if __name__ == "__main__":
    main()
