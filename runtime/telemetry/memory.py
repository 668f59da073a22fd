"""What this process holds in memory, by kind, and the highest it has held.

The kinds matter more than their sum. Weights mapped from a file are RssFile: clean pages that the kernel may
drop and read back. RssAnon is what only this process can give back, and what gets it killed on a phone.
Nothing here knows about steps, models or files of a run.

Accuracy: Linux keeps these counters per CPU and folds them lazily, so a value may lag by some tens of pages
per CPU (below 1 MB on a phone). VmHWM is the kernel's own maximum of VmRSS since the process began.
"""

from __future__ import annotations

import os
import sys
import threading
from dataclasses import dataclass
from types import TracebackType

STATUS_PATH = "/proc/self/status"
# The whole file is about 1.5 kB on two CPUs; Cpus_allowed and Mems_allowed grow with the machine, but they
# stand behind the lines read here.
_READ_BYTES = 8192
_KEYS = (b"VmRSS:", b"RssAnon:", b"RssFile:", b"VmHWM:")


@dataclass(frozen=True, slots=True)
class MemorySample:
    """Memory of this process at one instant, in bytes; ``None`` where the system does not tell.

    Attributes:
        vm_rss_bytes: everything resident (anonymous, file-backed and shared).
        rss_anon_bytes: resident and anonymous: heap, stacks, activations, state.
        rss_file_bytes: resident pages of mapped files: weights, libraries.
        vm_hwm_bytes: the highest ``vm_rss_bytes`` since the process began.
    """

    vm_rss_bytes: int | None
    rss_anon_bytes: int | None
    rss_file_bytes: int | None
    vm_hwm_bytes: int | None

    def maximum(self, other: MemorySample) -> MemorySample:
        """The larger of both, kind by kind; a known value beats an unknown one."""
        return MemorySample(
            _larger(self.vm_rss_bytes, other.vm_rss_bytes),
            _larger(self.rss_anon_bytes, other.rss_anon_bytes),
            _larger(self.rss_file_bytes, other.rss_file_bytes),
            _larger(self.vm_hwm_bytes, other.vm_hwm_bytes),
        )


def read_memory() -> MemorySample:
    """The memory of this process now.

    Reads ``/proc/self/status``. Where there is none, only the peak is known, from ``getrusage``; on a system
    without either, every kind is ``None``.
    """
    try:
        with open(STATUS_PATH, "rb", buffering=0) as status:
            return parse_status(status.read(_READ_BYTES) or b"")
    except OSError:
        return _from_getrusage()


def parse_status(text: bytes) -> MemorySample:
    """The four kinds in the text of a ``/proc/PID/status``, turned from kB (1,024 bytes) into bytes."""
    rss, anon, file, hwm = (_kilobytes_at(text, key) for key in _KEYS)
    return MemorySample(rss, anon, file, hwm)


class PeakSampler:
    """Keeps the maximum of each kind of memory between entering and leaving, from a daemon thread.

    ``with PeakSampler() as sampler: ...; sampler.peak.rss_anon_bytes``. A peak shorter than the interval can
    be missed (``vm_hwm_bytes`` cannot: the kernel keeps it). The maxima start again at each ``with``.

    Cost: one descriptor, one thread, and per sample one ``pread`` and four substring searches. Measured on
    two cores of a virtual machine (``time.process_time`` around three idle seconds): 13 microseconds a
    sample back to back, 3 % of one core at the default interval, most of it the 200 wake-ups a second. The
    thread holds the interpreter's lock only while it parses. ONNX Runtime releases that lock while it
    computes, so a probe is sampled while it runs; Python code that keeps the lock delays samples
    (``sys.getswitchinterval``, 5 ms).

    Args:
        interval_seconds: time between two samples.
    """

    def __init__(self, interval_seconds: float = 0.005) -> None:
        if not interval_seconds > 0:
            raise ValueError(f"interval_seconds is {interval_seconds}; it must be above 0")
        self.interval_seconds = interval_seconds
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        self._descriptor: int | None = None
        self._peak = MemorySample(None, None, None, None)

    @property
    def peak(self) -> MemorySample:
        """The maxima since the sampler was entered; still there after it was left. Safe from any thread."""
        with self._lock:
            return self._peak

    def sample(self) -> MemorySample:
        """Takes one sample now, counts it in the peak and returns it. Safe from any thread."""
        with self._lock:
            # Read under the lock: leaving closes the descriptor, and its number may be given to another file.
            if self._descriptor is None:
                current = read_memory()
            else:
                current = parse_status(os.pread(self._descriptor, _READ_BYTES, 0))
            self._peak = self._peak.maximum(current)
            return current

    def __enter__(self) -> PeakSampler:
        if self._thread is not None:
            raise RuntimeError("this PeakSampler is already running")
        with self._lock:
            self._peak = MemorySample(None, None, None, None)
            try:
                self._descriptor = os.open(STATUS_PATH, os.O_RDONLY)
            except OSError:  # no /proc: sample() asks read_memory() instead
                self._descriptor = None
        self.sample()
        self._stop.clear()
        self._thread = threading.Thread(target=self._watch, name="seedtune-memory", daemon=True)
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        if self._thread is not None:
            self._thread.join()
            self._thread = None
        self.sample()
        with self._lock:
            if self._descriptor is not None:
                os.close(self._descriptor)
                self._descriptor = None

    def _watch(self) -> None:
        while not self._stop.wait(self.interval_seconds):
            self.sample()


def _kilobytes_at(text: bytes, key: bytes) -> int | None:
    start = text.find(b"\n" + key)
    if start < 0:
        return None
    start += len(key) + 1
    # "VmRSS:\t   20440 kB\n": int() takes the blanks in front, the unit has to go. A line cut by the read is
    # no value.
    end = text.find(b" kB", start)
    return int(text[start:end]) * 1024 if end > 0 else None


def _larger(a: int | None, b: int | None) -> int | None:
    if a is None or b is None:
        return b if a is None else a
    return max(a, b)


def _from_getrusage() -> MemorySample:
    try:
        import resource  # not on Windows
    except ImportError:
        return MemorySample(None, None, None, None)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    # macOS counts in bytes, Linux and the BSDs in kB.
    return MemorySample(None, None, None, peak if sys.platform == "darwin" else peak * 1024)
