"""Memory is read by kind, and peaks are seen."""

from __future__ import annotations

import contextlib
import mmap
import os
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from seedtune.runtime.telemetry import memory
from seedtune.runtime.telemetry.memory import MemorySample, PeakSampler, parse_status, read_memory

needs_proc = pytest.mark.skipif(not Path(memory.STATUS_PATH).exists(), reason="this system has no /proc")
MEGABYTE = 1_000_000


@contextlib.contextmanager
def resident(size_bytes: int) -> Iterator[None]:
    """Anonymous memory that is resident in the block and gone behind it, whatever the allocator has in store."""
    with mmap.mmap(-1, size_bytes, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS) as block:
        for offset in range(0, size_bytes, mmap.PAGESIZE):
            block[offset] = 1
        yield


def test_status_lines_become_bytes_by_kind() -> None:
    text = b"Name:\tx\nVmHWM:\t    40 kB\nVmRSS:\t    30 kB\nRssAnon:\t    20 kB\nRssFile:\t    10 kB\n"
    assert parse_status(text) == MemorySample(30 * 1024, 20 * 1024, 10 * 1024, 40 * 1024)


def test_a_process_name_cannot_pose_as_a_kind() -> None:
    assert parse_status(b"Name:\tVmRSS: 9 kB\nState:\tR\n") == MemorySample(None, None, None, None)


def test_a_line_cut_by_the_read_is_no_value() -> None:
    assert parse_status(b"Name:\tx\nVmRSS:\t    30").vm_rss_bytes is None


@needs_proc
def test_kinds_add_up_to_no_more_than_the_resident_set() -> None:
    now = read_memory()
    assert now.vm_rss_bytes is not None
    assert now.rss_anon_bytes is not None
    assert now.rss_file_bytes is not None
    assert now.vm_hwm_bytes is not None
    assert 0 < now.rss_anon_bytes < now.vm_rss_bytes
    assert now.rss_anon_bytes + now.rss_file_bytes <= now.vm_rss_bytes + MEGABYTE
    assert now.vm_hwm_bytes >= now.vm_rss_bytes - MEGABYTE


def test_without_proc_only_the_peak_is_known(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(memory, "STATUS_PATH", str(tmp_path / "absent"))
    now = read_memory()
    assert (now.vm_rss_bytes, now.rss_anon_bytes, now.rss_file_bytes) == (None, None, None)
    if os.name == "posix":
        assert now.vm_hwm_bytes is not None
        assert now.vm_hwm_bytes > MEGABYTE
    with PeakSampler(0.001) as sampler:
        pass
    assert sampler.peak.rss_anon_bytes is None


@needs_proc
def test_peak_sampler_sees_a_transient_allocation() -> None:
    size = 64 * MEGABYTE
    with PeakSampler(0.002) as sampler:
        before = sampler.sample().rss_anon_bytes
        with resident(size):
            time.sleep(0.05)
        after = sampler.sample().rss_anon_bytes
    peak = sampler.peak.rss_anon_bytes
    assert before is not None
    assert after is not None
    assert peak is not None
    assert peak - before > 0.9 * size
    assert peak - after > 0.9 * size


@needs_proc
def test_peak_starts_again_at_each_entry_and_leaves_no_thread_and_no_descriptor() -> None:
    descriptors = len(os.listdir("/proc/self/fd"))
    sampler = PeakSampler(0.001)
    with sampler, resident(64 * MEGABYTE):
        sampler.sample()
    first = sampler.peak.rss_anon_bytes
    with sampler:
        pass
    second = sampler.peak.rss_anon_bytes
    assert first is not None
    assert second is not None
    assert first - second > 50 * MEGABYTE
    assert all(thread.name != "seedtune-memory" for thread in threading.enumerate())
    assert len(os.listdir("/proc/self/fd")) == descriptors


@pytest.mark.parametrize("interval", [0, -1.0, float("nan")])
def test_an_interval_that_is_not_positive_is_refused(interval: float) -> None:
    with pytest.raises(ValueError, match="interval_seconds"):
        PeakSampler(interval)


def test_a_running_sampler_is_not_entered_twice() -> None:
    sampler = PeakSampler()
    with sampler, pytest.raises(RuntimeError, match="already running"):
        sampler.__enter__()
