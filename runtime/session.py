"""ONNX Runtime settings, in one place, the same on a PC and on the phone.

 - Prepacking off: a packed weight is an anonymous copy; off, the weights stay clean pages of the mapped file.
 - No arena and no memory pattern: both keep the largest batch's activations for good.
 - No spinning: a phone pays for it in heat.
 - glibc returns freed blocks of a megabyte and more to the system at once: by default its threshold grows with use,
   and 128 MB of live activations were measured to hold 500 MB.
"""

from __future__ import annotations

import ctypes
import os
import sys
from pathlib import Path

import onnxruntime

from seedtune.runtime.errors import SeedTuneError

CONFIG = {
    "session.disable_prepacking": "1",
    "session.intra_op.allow_spinning": "0",
    "session.inter_op.allow_spinning": "0",
    "mlas.disable_kleidiai": "1",
}
# Bytes. Measured by scripts/bench_memory.py: docs/log.md, "allocator".
RELEASE_THRESHOLD_BYTES = 1 << 20
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3


def release_memory_early() -> bool:
    """Asks glibc to hand freed blocks back to the system; True if it could be asked (glibc on Linux)."""
    if not sys.platform.startswith("linux"):
        return False
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError):
        return False
    return all(mallopt(option, RELEASE_THRESHOLD_BYTES) for option in (_M_MMAP_THRESHOLD, _M_TRIM_THRESHOLD))


def default_threads() -> int:
    """The processors this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def open_session(path: Path, threads: int | None = None) -> onnxruntime.InferenceSession:
    """A session over the graph at ``path`` with SeedTune's settings.

    Raises:
        SeedTuneError: ONNX Runtime refuses the graph.
    """
    release_memory_early()
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads or default_threads()
    options.inter_op_num_threads = 1
    options.enable_cpu_mem_arena = False
    options.enable_mem_pattern = False
    options.log_severity_level = 3
    for key, value in CONFIG.items():
        options.add_session_config_entry(key, value)
    try:
        return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    except Exception as error:
        raise SeedTuneError(
            "ONNX Runtime cannot open this graph",
            file=path,
            value=str(error).splitlines()[0] if str(error) else type(error).__name__,
            rule=f"a graph that ONNX Runtime {onnxruntime.__version__} runs on the CPU",
            remedy="export the bundle again; seedtune doctor shows the versions in use",
        ) from error
