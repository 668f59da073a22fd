"""ONNX Runtime settings, in one place, the same on a PC and on the phone.

- Prepacking off: a packed weight is an anonymous copy; off, the weights stay clean pages of the mapped file.
- The CPU arena on, the memory pattern off: measured on SmolLM2 at 1,024 token rows, peak RssAnon is 76 MB so, 98 MB
  with the pattern, and 200 to 840 MB without the arena, because glibc cannot re-use freed aligned blocks. Without the
  arena every activation is also paged in anew, which doubles the time (docs/log/2026-11-23.md, "Allocator").
- One arena for all sessions of the process. Each would keep its own peak otherwise: 211 MB against 147 MB for the five
  stage graphs of OPT-1.3B in int8 (docs/log/2026-11-23.md, "Memory limit").
- No spinning: a phone pays for it in heat.
"""

from __future__ import annotations

import functools
import os
from pathlib import Path

import onnxruntime
from onnxruntime.capi import _pybind_state as native

from seedtune.runtime.bundle.graph_file import require_harmless
from seedtune.runtime.errors import SeedTuneError

CONFIG = {
    "session.disable_prepacking": "1",
    "session.intra_op.allow_spinning": "0",
    "session.inter_op.allow_spinning": "0",
    "session.use_env_allocators": "1",
    "mlas.disable_kleidiai": "1",
}


def default_threads() -> int:
    """The processors this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def open_session(path: Path, threads: int | None = None) -> onnxruntime.InferenceSession:
    """A session over the graph at ``path`` with SeedTune's settings.

    Raises:
        SeedTuneError: the graph has what no bundle needs (`bundle/graph_file.py`), or ONNX Runtime refuses it.
    """
    require_harmless(path)
    _share_arena()
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads or default_threads()
    options.inter_op_num_threads = 1
    options.enable_cpu_mem_arena = True
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


@functools.cache
def _share_arena() -> None:
    """Registers the arena that all sessions use; ONNX Runtime takes one for the life of the process."""
    place = native.OrtMemoryInfo("Cpu", native.OrtAllocatorType.ORT_ARENA_ALLOCATOR, 0, native.OrtMemType.DEFAULT)
    native.create_and_register_allocator(place, native.OrtArenaCfg({"max_dead_bytes_per_chunk": 65536}))
