"""The cap on real processes: it kills what cannot fit, counts page cache, and leaves alone what fits."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from lab import page_cache
from lab.memory_cap import run_capped
from lab.memory_cgroup import MemoryCgroup

Program = Callable[[str], list[str]]
MIB = 1 << 20
CAP = 48 * MIB


@pytest.mark.usefixtures("caps")
class TestCap:
    def test_a_command_that_needs_more_is_killed_and_reported_so(self, program: Program) -> None:
        result = run_capped(program(f"x = b'x' * {2 * CAP}; print('survived')"), CAP)
        assert result.killed
        assert result.returncode == -signal.SIGKILL
        assert "survived" not in result.stdout
        assert result.cgroup_peak_bytes is not None
        assert result.cgroup_peak_bytes <= CAP

    def test_a_command_that_fits_is_untouched(self, program: Program) -> None:
        text = "import sys; x = b'x' * (16 << 20); print('survived'); print('aside', file=sys.stderr); sys.exit(3)"
        result = run_capped(program(text), CAP)
        assert (result.returncode, result.killed, result.timed_out) == (3, False, False)
        assert (result.stdout, result.stderr) == ("survived\n", "aside\n")
        assert not result.limit_hits
        assert result.cgroup_peak_bytes is not None
        assert 16 * MIB < result.cgroup_peak_bytes < CAP

    def test_page_cache_counts(self, program: Program, tmp_path: Path) -> None:
        file = tmp_path / "large"
        file.write_bytes(os.urandom(2 * CAP))
        if page_cache.drop([file], everything=False):
            pytest.skip(f"the filesystem of {tmp_path} keeps its files in memory")
        read = f"file = open({str(file)!r}, 'rb', 0)\nwhile file.read(1 << 20): pass\nprint('survived')"
        capped = run_capped(program(read), CAP)
        assert (capped.returncode, capped.killed, capped.stdout) == (0, False, "survived\n")
        assert capped.cgroup_peak_bytes is not None
        assert 0.9 * CAP < capped.cgroup_peak_bytes <= CAP
        assert capped.limit_hits != 0
        assert capped.read_bytes >= 2 * CAP
        assert page_cache.drop([file], everything=False) == 0
        free = run_capped(program(read), None)
        assert free.cgroup_peak_bytes is not None
        assert free.cgroup_peak_bytes > 2 * CAP
        assert not free.limit_hits

    def test_memory_is_sampled_by_kind(self, program: Program, tmp_path: Path) -> None:
        file = tmp_path / "mapped"
        file.write_bytes(bytes(32 * MIB))
        text = f"""
import mmap, time
x = b'x' * {16 * MIB}
file = open({str(file)!r}, 'rb')
mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
sum(mapped[place] for place in range(0, len(mapped), 4096))
time.sleep(0.1)
"""
        result = run_capped(program(text), None)
        assert result.rss_anon_peak_bytes is not None
        assert result.rss_file_peak_bytes is not None
        assert result.vm_hwm_bytes is not None
        assert 16 * MIB <= result.rss_anon_peak_bytes < 32 * MIB
        assert result.rss_file_peak_bytes >= 32 * MIB
        assert result.vm_hwm_bytes >= 48 * MIB

    def test_a_command_that_never_ends_is_stopped(self, program: Program) -> None:
        result = run_capped(program("import time; time.sleep(60)"), CAP, timeout_seconds=0.2)
        assert result.timed_out
        assert not result.killed
        assert result.seconds < 10

    def test_a_failing_watcher_leaves_neither_process_nor_group(self, program: Program, tmp_path: Path) -> None:
        note = tmp_path / "pid"
        text = f"import os, time; open({str(note)!r}, 'w').write(str(os.getpid())); time.sleep(60)"

        def fail(_read_bytes: int) -> None:
            if note.exists() and note.read_text():
                raise RuntimeError("the watcher failed")

        with pytest.raises(RuntimeError, match="the watcher failed"):
            run_capped(program(text), CAP, on_sample=fail)
        assert not Path(f"/proc/{note.read_text()}").exists()
        assert not groups_left()

    def test_the_group_goes_with_what_still_runs_in_it(self, program: Program) -> None:
        with MemoryCgroup(CAP) as group:
            door = group.open_door()
            process = subprocess.Popen(program("import time; time.sleep(60)"), preexec_fn=lambda: os.write(door, b"0"))
            os.close(door)
            assert str(process.pid) in (group.path / "cgroup.procs").read_text().split()
        assert process.wait(10) == -signal.SIGKILL
        assert not group.path.exists()

    def test_a_program_that_is_not_there_leaves_no_group(self, tmp_path: Path) -> None:
        with pytest.raises(FileNotFoundError):
            run_capped([str(tmp_path / "nothing")], CAP)
        assert not groups_left()


def test_a_cap_below_a_page_is_refused() -> None:
    with pytest.raises(ValueError, match="at least a page"):
        MemoryCgroup(100)


def groups_left() -> list[Path]:
    """Groups of this process that are still there; an empty list is proof only after one was seen to be made."""
    with MemoryCgroup(CAP) as group:
        found = list(group.path.parent.glob(f"seedtune-{os.getpid()}-*"))
        assert group.path in found
    return [path for path in found if path != group.path]
