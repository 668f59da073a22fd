"""Runs a command under a hard memory cap that counts page cache, and watches it from outside.

    result = run_capped(["seedtune", "run", ...], limit_bytes=256_000_000)
    result.killed, result.cgroup_peak_bytes, result.rss_anon_peak_bytes, ...

The cap is a memory cgroup (`memory_cgroup.py`): it holds or the command is not started. Resident memory is that of the
command's own process; the cgroup's figures hold for its children too.
"""

from __future__ import annotations

import os
import subprocess
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from lab.memory_cgroup import CapError, MemoryCgroup
from seedtune.runtime.telemetry.memory import MemorySample, parse_status

__all__ = ["CapError", "CappedRun", "run_capped"]


@dataclass(frozen=True, kw_only=True)
class CappedRun:
    """What became of a command, and what it took.

    Attributes:
        returncode: as of subprocess: below 0 for a signal.
        killed: the kernel killed it, or a process it started, for want of memory.
        timed_out: it was killed because its time was over.
        seconds: from its start to its end.
        stdout, stderr: what it printed.
        rss_anon_peak_bytes, rss_file_peak_bytes, vm_hwm_bytes: highest samples of /proc/PID/status; None when it was
            gone before the first. RssFile counts pages that are mapped, whoever was charged for them.
        cgroup_peak_bytes: the most memory of every kind, page cache included; None on kernels that do not keep it.
        limit_hits: how often the limit was reached; None where the kernel does not count it.
        major_faults: page faults that waited for storage.
        refaulted_pages: pages of files that were dropped under the limit and needed again.
        read_bytes: what it read from storage, by calls and through maps.
    """

    returncode: int
    killed: bool
    timed_out: bool
    seconds: float
    stdout: str
    stderr: str
    rss_anon_peak_bytes: int | None
    rss_file_peak_bytes: int | None
    vm_hwm_bytes: int | None
    cgroup_peak_bytes: int | None
    limit_hits: int | None
    major_faults: int
    refaulted_pages: int
    read_bytes: int


def run_capped(
    command: Sequence[str],
    limit_bytes: int | None,
    *,
    environment: Mapping[str, str] | None = None,
    timeout_seconds: float | None = None,
    interval_seconds: float = 0.005,
    on_sample: Callable[[int], None] = lambda _read_bytes: None,
) -> CappedRun:
    """Runs ``command`` to its end under ``limit_bytes``.

    Args:
        command: program and arguments.
        limit_bytes: the hard limit on everything; None to measure only.
        environment: of the command; None for this process's.
        timeout_seconds: when to kill it; a thrashing command may otherwise take for ever.
        interval_seconds: time between two samples; a peak shorter than that can be missed, except the cgroup's.
        on_sample: told at each sample how many bytes were read from storage so far.

    Raises:
        CapError: the cap cannot be enforced; nothing was run.
        OSError: the program cannot be started.
    """
    with (
        MemoryCgroup(limit_bytes) as group,
        tempfile.TemporaryFile() as stdout,
        tempfile.TemporaryFile() as stderr,
    ):
        door = group.open_door()
        try:
            started = time.monotonic()
            # Joined between fork and exec, so that not one page of the program escapes. A failure there is raised here.
            process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=stdout,
                stderr=stderr,
                env=environment,
                preexec_fn=lambda: os.write(door, b"0"),
            )
        except subprocess.SubprocessError as error:
            raise CapError(f"the command could not join {group.path}") from error
        finally:
            os.close(door)
        try:
            peak, timed_out = _watch(process.pid, started, timeout_seconds, interval_seconds, on_sample, process.kill)
            seconds = time.monotonic() - started
            read_bytes = _read_bytes(process.pid)
        finally:
            # Also when a caller's on_sample fails: a killed process that has already ended is merely reaped.
            process.kill()
            process.wait()
        return CappedRun(
            returncode=process.returncode,
            killed=group.kills() > 0,
            timed_out=timed_out,
            seconds=seconds,
            stdout=_text(stdout),
            stderr=_text(stderr),
            rss_anon_peak_bytes=peak.rss_anon_bytes,
            rss_file_peak_bytes=peak.rss_file_bytes,
            vm_hwm_bytes=peak.vm_hwm_bytes,
            cgroup_peak_bytes=group.peak_bytes(),
            limit_hits=group.limit_hits(),
            major_faults=group.major_faults(),
            refaulted_pages=group.refaulted_pages(),
            read_bytes=read_bytes,
        )


def _watch(
    pid: int,
    started: float,
    timeout_seconds: float | None,
    interval_seconds: float,
    on_sample: Callable[[int], None],
    kill: Callable[[], None],
) -> tuple[MemorySample, bool]:
    """The highest samples until the process has ended, and whether it had to be killed; leaves it to be reaped."""
    peak, timed_out = MemorySample(None, None, None, None), False
    # WNOWAIT keeps what the kernel knows of an ended process, its input and output among it, until it is reaped.
    while os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None:
        peak = peak.maximum(parse_status(_proc(pid, "status")))
        on_sample(_read_bytes(pid))
        if timeout_seconds is not None and time.monotonic() - started > timeout_seconds and not timed_out:
            kill()
            timed_out = True
        time.sleep(interval_seconds)
    return peak, timed_out


def _read_bytes(pid: int) -> int:
    pairs = (line.split(b": ") for line in _proc(pid, "io").splitlines())
    return next((int(pair[1]) for pair in pairs if pair[0] == b"read_bytes"), 0)


def _proc(pid: int, name: str) -> bytes:
    try:
        return Path(f"/proc/{pid}/{name}").read_bytes()
    except OSError:
        return b""


def _text(file: IO[bytes]) -> str:
    file.seek(0)
    return file.read().decode("utf-8", "replace")
