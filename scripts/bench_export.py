"""python scripts/bench_export.py [--check]: time, peak memory and size of exporting SmolLM2-135M.

Peak RSS comes from the kernel's accounting of the finished process; what importing torch and transformers takes by
itself is measured the same way and subtracted. Bars: 60 s, 2 GB beyond the import, weights + 8 MB.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import bench_support

from seedtune.runtime.bundle.manifest import WEIGHTS


def main() -> None:
    """Measures and reports."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--check", action="store_true", help="also compare with transformers, as export does by default"
    )
    checked = parser.parse_args().check
    _, import_bytes, _ = finished([sys.executable, "-c", "import torch"])
    out = bench_support.OUTPUT / "export"
    shutil.rmtree(out, ignore_errors=True)
    command = [str(Path(sys.executable).with_name("seedtune")), "export", bench_support.SOURCE]
    command += ["--task", "sentiment", "--out", str(out), "--json", "--check" if checked else "--no-check"]
    seconds, peak_bytes, text = finished(command)
    total = json.loads(text.splitlines()[-1])["size_bytes"]
    parameters_bytes = 4 * json.loads(text.splitlines()[-1])["parameters"]
    beyond = peak_bytes - import_bytes
    bench_support.report(
        f"seedtune export {bench_support.SOURCE} ({'with' if checked else 'without'} --check)",
        [
            ("time", f"{seconds:.1f} s", "<= 60 s"),
            ("peak RSS", f"{peak_bytes / 1e6:,.0f} MB", ""),
            ("beyond importing torch", f"{beyond / 1e6:,.0f} MB", "<= 2,000 MB"),
            ("bundle beyond the model's weights", f"{(total - parameters_bytes) / 1e6:.1f} MB", "<= 8 MB"),
        ],
        {
            "seconds": seconds,
            "peak_rss_bytes": peak_bytes,
            "peak_beyond_import_bytes": beyond,
            "bundle_bytes": total,
            "beyond_weights_bytes": total - parameters_bytes,
            "weights_file_bytes": (out / WEIGHTS).stat().st_size,
        },
    )


def finished(command: list[str]) -> tuple[float, int, str]:
    """Runs ``command``; wall seconds, peak RSS in bytes, standard output."""
    start = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    text = process.stdout.read()
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        sys.exit(process.returncode)
    return time.perf_counter() - start, usage.ru_maxrss * 1024, text


if __name__ == "__main__":
    main()
