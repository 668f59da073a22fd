"""Where something runs, for the records of it; no process is started to find out.

`platform.platform` and `platform.processor` run ``uname -p``. Such a process has a copy of every open file until it has
loaded its program, a run's lock among them: who is killed in that moment leaves its folder locked for the next one.
"""

from __future__ import annotations

import os
import platform
import sys
from pathlib import Path

import onnxruntime

from seedtune.runtime.telemetry.records import MachineInfo


def this_machine() -> MachineInfo:
    """This machine, with the versions that decide what it computes."""
    return MachineInfo(
        platform=_platform(),
        processor=_processor(),
        cores=os.cpu_count() or 1,
        python=platform.python_version(),
        onnxruntime=onnxruntime.__version__,
    )


def _platform() -> str:
    """As `platform.platform` spells it, where it can be told without another process."""
    if sys.platform != "linux":
        return f"{platform.system()}-{platform.release()}-{platform.machine()}"
    system = os.uname()
    library = "".join(platform.libc_ver())
    return f"{system.sysname}-{system.release}-{system.machine}" + (f"-with-{library}" if library else "")


def _processor() -> str:
    try:
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith(("model name", "Hardware")):
                return line.partition(":")[2].strip()
    except OSError:
        return platform.machine()
    return platform.machine()
