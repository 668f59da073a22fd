"""python -m contenders.worker KIND: the process of one contender. Knows the turns, not what a step is.

The first line of standard input is a JSON object, the contender's options. When the step is ready, one line of JSON
tells how it came about; then every further line is a turn, answered by one line with what it took. The end of input
ends the process. Standard output carries nothing else: what libraries print there goes to standard error.

Needs the standard library only, so that it also runs in an environment without SeedTune.
"""

from __future__ import annotations

import contextlib
import importlib
import json
import os
import resource
import sys
import time
from pathlib import Path

# KIND -> module of this package, whose prepare(options) returns a function that makes a step.
MODULES = {
    "seedtune": "seedtune_step",
    "forwards": "plain_forwards",
    "gemm": "gemm_bound",
    "mezo": "torch_mezo",
    "lora": "torch_lora",
    "training": "ort_training",
}


def main() -> None:
    """See the module docstring."""
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "w", buffering=1)
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    options = json.loads(sys.stdin.readline())
    module = importlib.import_module(f"contenders.{MODULES[sys.argv[1]]}")
    started = time.perf_counter()
    step = module.prepare(options)
    # VmHWM starts anew, so that it tells what steps need, not what loading needed. Not every kernel allows it.
    with contextlib.suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")
    print(json.dumps({"ready_seconds": time.perf_counter() - started}), file=answers)
    for _ in sys.stdin:
        faults = resource.getrusage(resource.RUSAGE_SELF).ru_majflt
        started = time.perf_counter()
        answer = step()
        took = {"milliseconds": (time.perf_counter() - started) * 1e3}
        took["major_faults"] = resource.getrusage(resource.RUSAGE_SELF).ru_majflt - faults
        # A contender may know better what its step took, or have more to tell.
        print(json.dumps(took | (answer or {})), file=answers)


if __name__ == "__main__":
    main()
