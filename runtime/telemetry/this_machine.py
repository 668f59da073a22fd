"""Where something runs, for the records of it."""

from __future__ import annotations

import os
import platform
from pathlib import Path

import onnxruntime

from seedtune.runtime.telemetry.records import MachineInfo


def this_machine() -> MachineInfo:
    """This machine, with the versions that decide what it computes."""
    return MachineInfo(
        platform=platform.platform(),
        processor=_processor(),
        cores=os.cpu_count() or 1,
        python=platform.python_version(),
        onnxruntime=onnxruntime.__version__,
    )


def _processor() -> str:
    try:
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith(("model name", "Hardware")):
                return line.partition(":")[2].strip()
    except OSError:
        return platform.processor() or platform.machine()
    return platform.processor() or platform.machine()
