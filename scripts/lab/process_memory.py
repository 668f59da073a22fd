"""Memory of another process, watched from outside while it works: peaks by kind, and what it has read from storage.

Sampled, so a shorter peak than the interval can be missed; VmHWM cannot, as the kernel keeps it. What a process holds
is counted here, not what the kernel caches for it: for that see `memory_cap.py`.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from types import TracebackType

KINDS = ("RssAnon", "RssFile", "VmRSS", "VmHWM")
INTERVAL_SECONDS = 0.005
# Reads of /proc/PID/io and what the caller adds: they cost more than a status and change slowly.
SLOW_EVERY = 20


def memory_of(pid: int) -> dict[str, int]:
    """The kinds of resident memory of a process, in bytes; empty when it has gone."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return {}
    pairs = (line.split(":", 1) for line in lines if line.startswith(KINDS))
    return {kind: int(value.split()[0]) * 1024 for kind, value in pairs}


def read_bytes_of(pid: int) -> int | None:
    """Bytes that a process caused to be read from storage, page faults included; None when not told."""
    try:
        lines = Path(f"/proc/{pid}/io").read_text().splitlines()
    except OSError:
        return None
    return next((int(line.split()[1]) for line in lines if line.startswith("read_bytes:")), None)


class Watch:
    """``with Watch(pid) as watch: ...; watch.peak["RssAnon"]``: samples from a thread of this process.

    Args:
        pid: the process to watch; it may end meanwhile.
        slow: called with the last sample every twentieth time.

    Attributes:
        peak: kind -> the most bytes seen.
        read_bytes: the last answer of :func:`read_bytes_of`.
    """

    def __init__(self, pid: int, slow: Callable[[dict[str, int]], None] = lambda _sample: None) -> None:
        self.pid = pid
        self.peak = dict.fromkeys(KINDS, 0)
        self.read_bytes: int | None = None
        self._slow = slow
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._sample_until_stopped, daemon=True)

    def __enter__(self) -> Watch:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        self._thread.join()

    def _sample_until_stopped(self) -> None:
        count = 0
        while True:
            sample = memory_of(self.pid)
            for kind, value in sample.items():
                self.peak[kind] = max(self.peak[kind], value)
            if sample and count % SLOW_EVERY == 0:
                self.read_bytes = read_bytes_of(self.pid) or self.read_bytes
                self._slow(sample)
            count += 1
            if self._stop.wait(INTERVAL_SECONDS):
                return
