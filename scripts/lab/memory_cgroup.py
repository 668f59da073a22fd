"""A memory cgroup made for one command: a hard limit on anonymous memory, page cache and kernel memory together.

Speaks both versions of the kernel's interface. Knows nothing about the command; `memory_cap.py` runs one in it.

Memory is charged to the group whose process touched it first. Pages that were cached before, such as those of a shared
library that another process has mapped, are used free of charge: drop caches first (`page_cache.py`).
"""

from __future__ import annotations

import contextlib
import mmap
import os
import signal
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

REMOVAL_SECONDS = 5.0


class CapError(RuntimeError):
    """The cap cannot be enforced; the message says why and what to do."""


@dataclass(frozen=True)
class Interface:
    """Names of one version of the interface; counts are in a file at a key ("" where it holds one number).

    Attributes:
        limit: bytes of memory.
        swap: bytes beside it; version 1 counts memory and swap together there, version 2 swap alone.
        peak: the most bytes that the group ever held.
        limit_hits: how often an allocation ran into the limit, to be added up.
        kills: how many of its processes the kernel killed for want of memory.
    """

    version: int
    limit: str
    swap: str
    peak: str
    limit_hits: tuple[tuple[str, str], ...]
    kills: tuple[str, str]


VERSION_1 = Interface(
    1,
    "memory.limit_in_bytes",
    "memory.memsw.limit_in_bytes",
    "memory.max_usage_in_bytes",
    # The limit of memory and swap together is tried first, so with both equal it takes the hits.
    (("memory.failcnt", ""), ("memory.memsw.failcnt", "")),
    ("memory.oom_control", "oom_kill"),
)
VERSION_2 = Interface(
    2, "memory.max", "memory.swap.max", "memory.peak", (("memory.events", "max"),), ("memory.events", "oom_kill")
)


class MemoryCgroup:
    """``with MemoryCgroup(limit_bytes) as group: ...``: made on entering; on leaving, what still runs in it is killed.

    Args:
        limit_bytes: the hard limit, rounded down to whole pages; None for none, to measure only.
        parents: where it may be made, with the interface there; None to look for it.

    Raises:
        CapError: on entering, when no parent takes a group whose limit is in force.
    """

    def __init__(self, limit_bytes: int | None, parents: Sequence[tuple[Path, Interface]] | None = None) -> None:
        if limit_bytes is not None and limit_bytes < mmap.PAGESIZE:
            raise ValueError(f"limit_bytes is {limit_bytes}; it must be at least a page, {mmap.PAGESIZE}")
        self.limit_bytes = limit_bytes and limit_bytes // mmap.PAGESIZE * mmap.PAGESIZE
        self._parents = parents
        self.path = Path()
        self.interface = VERSION_2

    def __enter__(self) -> MemoryCgroup:
        reasons = []
        for parent, interface in possible_parents() if self._parents is None else self._parents:
            self.path = parent / f"seedtune-{os.getpid()}-{time.monotonic_ns()}"
            self.interface = interface
            try:
                self.path.mkdir()
            except OSError as error:
                reasons.append(f"{parent}: {error.strerror}")
                continue
            try:
                self._limit(parent)
            except (OSError, CapError) as error:
                reasons.append(f"{parent}: {error}")
                with contextlib.suppress(OSError):
                    self.path.rmdir()
                continue
            return self
        raise CapError(
            "no memory cgroup can be made, so no cap can be enforced:\n  "
            + "\n  ".join(reasons or ["no cgroup hierarchy with a memory controller is mounted"])
            + "\n  remedy: run as root, with the cgroup filesystem mounted for writing"
        )

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        give_up = time.monotonic() + REMOVAL_SECONDS
        while True:
            for process in map(int, self._text("cgroup.procs").split()):
                # 0 stands for a process of another namespace; to kill(2) it would mean this process's own group.
                with contextlib.suppress(ProcessLookupError):
                    if process:
                        os.kill(process, signal.SIGKILL)
            try:
                self.path.rmdir()
            except OSError:
                # A process that has just been killed holds the group until it is reaped.
                if time.monotonic() > give_up:
                    raise
                time.sleep(0.01)
            else:
                return

    def open_door(self) -> int:
        """A descriptor; whatever process writes b"0" to it joins the group, with what it allocates from then on."""
        return os.open(self.path / "cgroup.procs", os.O_WRONLY | os.O_CLOEXEC)

    def peak_bytes(self) -> int | None:
        """The most memory that the group held at once, of every kind; None where the kernel does not keep it."""
        text = self._text(self.interface.peak)
        return int(text) if text else None

    def limit_hits(self) -> int | None:
        """How often the limit was reached and memory had to be taken back; None where the kernel does not count."""
        count = sum(self._count(*place) for place in self.interface.limit_hits)
        # Linux 6.18 leaves version 1's counts at 0 whatever happens, so 0 says nothing there.
        return None if self.interface.version == 1 and count == 0 else count

    def kills(self) -> int:
        """How many processes of the group the kernel killed for want of memory."""
        return self._count(*self.interface.kills)

    def major_faults(self) -> int:
        """Page faults that had to wait for storage."""
        return self._count("memory.stat", "pgmajfault")

    def refaulted_pages(self) -> int:
        """Pages of files that were taken back and soon needed again: thrashing, when they are many."""
        return self._count("memory.stat", "workingset_refault_file")

    def _limit(self, parent: Path) -> None:
        """Sets the limit, and reads it back: a file that takes a value and does nothing is no cap."""
        limit = self.path / self.interface.limit
        if not limit.exists() and self.interface.version == 2:
            # Groups have the controller's files only where the group above hands them down; it stays so.
            (parent / "cgroup.subtree_control").write_text("+memory")
        if not limit.exists():
            raise CapError(f"groups made here have no {self.interface.limit}")
        if self.limit_bytes is None:
            return
        limit.write_text(str(self.limit_bytes))
        found = self._text(self.interface.limit)
        if found != str(self.limit_bytes):
            raise CapError(f"{self.interface.limit} is {found} after {self.limit_bytes} was written")
        # Without swap accounting there is no such file; then swapped-out memory would go uncounted.
        swap = self.path / self.interface.swap
        if swap.exists():
            swap.write_text(str(self.limit_bytes) if self.interface.version == 1 else "0")
        elif _swap_is_on():
            raise CapError("swap is on and this kernel does not limit it by cgroup; turn it off with swapoff -a")

    def _count(self, name: str, key: str) -> int:
        text = self._text(name)
        if not key:
            return int(text or 0)
        pairs = (line.split() for line in text.splitlines())
        return next((int(pair[1]) for pair in pairs if len(pair) == 2 and pair[0] == key), 0)

    def _text(self, name: str) -> str:
        try:
            return (self.path / name).read_text().strip()
        except FileNotFoundError:
            return ""


def possible_parents() -> list[tuple[Path, Interface]]:
    """Where a group might be made: the top of a hierarchy with a memory controller, then above this process's group."""
    found = []
    for line in _lines("/proc/self/mountinfo"):
        mount, _, filesystem = line.partition(" - ")
        kind, _, options = filesystem.split(" ", 2)
        top = Path(mount.split()[4])
        if kind == "cgroup" and "memory" in options.split(","):
            found += [(top, VERSION_1), *((parent, VERSION_1) for parent in _above_own(top, "memory"))]
        elif kind == "cgroup2" and "memory" in " ".join(_lines(str(top / "cgroup.controllers"))).split():
            found += [(top, VERSION_2), *((parent, VERSION_2) for parent in _above_own(top, ""))]
    return found


def _above_own(top: Path, controller: str) -> list[Path]:
    for line in _lines("/proc/self/cgroup"):
        _, controllers, path = line.split(":", 2)
        if controller in controllers.split(","):
            parent = (top / path.lstrip("/")).parent
            return [parent] if top in parent.parents else []
    return []


def _swap_is_on() -> bool:
    # The first line is a heading.
    return len(_lines("/proc/swaps")) > 1


def _lines(path: str) -> list[str]:
    try:
        return Path(path).read_text().splitlines()
    except OSError:
        return []
