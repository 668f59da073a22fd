"""Which part of a run a process is in, told through memory that outlives it: whoever killed it reads where it was.

The parts are marked by wrapping the functions that are them, in the process that runs; nothing of the run is changed.
"""

from __future__ import annotations

import functools
import inspect
import mmap
import struct
import time
from collections.abc import Callable
from typing import Any

from seedtune.runtime.journal.file import JournalWriter
from seedtune.runtime.run import driver
from seedtune.runtime.run.driver import Run
from seedtune.runtime.run.held_out import HeldOut
from seedtune.runtime.run.materials import text
from seedtune.runtime.run.methods.gradient import ByGradient
from seedtune.runtime.run.methods.probes import ByProbes

OPENING, CACHING, SOLVING, MEASURING, STEPPING, EVALUATING, WRITING = range(7)
NAMES = ("opening", "caching", "solving the start", "measuring", "stepping", "evaluating", "writing results")
# (whose, function, its part). All of them but the last are generators.
MARKED: tuple[tuple[Any, str, int], ...] = (
    (text, "opening_feeder", CACHING),
    (text, "closed_form", SOLVING),
    (ByProbes, "batch_size", MEASURING),
    (ByGradient, "batch_size", MEASURING),
    (Run, "events", STEPPING),
    (HeldOut, "untouched", EVALUATING),
    (HeldOut, "at_step", EVALUATING),
    (driver, "conclude", WRITING),
)
# The part, steps on the disk, and for each part how often it was entered and the seconds in it.
LAYOUT = struct.Struct(f"=2q{len(NAMES)}q{len(NAMES)}d")


class Marks:
    """Where a process is; made before it is forked, written by the child and read by its parent."""

    def __init__(self) -> None:
        self._memory = mmap.mmap(-1, LAYOUT.size)
        self._since = 0.0
        self.clear()

    def clear(self) -> None:
        """Makes it the mark of a process that has just begun."""
        entries = [1] + [0] * (len(NAMES) - 1)
        self._write(OPENING, 0, entries, [0.0] * len(NAMES))

    @property
    def part(self) -> int:
        """The place in NAMES of what the process is at."""
        return int(self._read()[0])

    @property
    def steps(self) -> int:
        """How many steps it has put on the disk."""
        return int(self._read()[1])

    def entries(self, part: int) -> int:
        """How often it came to ``part``."""
        return int(self._read()[2][part])

    def seconds(self, part: int) -> float:
        """How long it was in ``part``, as far as it left it."""
        return float(self._read()[3][part])

    def mark(self) -> None:
        """Wraps the parts of a run; for the process that makes it."""
        self._since = time.perf_counter()
        for owner, name, part in MARKED:
            setattr(owner, name, self._marking(getattr(owner, name), part))
        append = JournalWriter.append

        @functools.wraps(append)
        def counted(writer: JournalWriter, records: Any) -> None:
            append(writer, records)
            part, steps, entries, seconds = self._read()
            self._write(part, steps + 1, entries, seconds)

        setattr(JournalWriter, "append", counted)  # noqa: B010 - mypy knows no method that is assigned to

    def _marking(self, function: Callable[..., Any], part: int) -> Callable[..., Any]:
        @functools.wraps(function)
        def of_generator(*arguments: Any, **named: Any) -> Any:
            before = self._enter(part)
            try:
                return (yield from function(*arguments, **named))
            finally:
                self._enter(before)

        @functools.wraps(function)
        def of_call(*arguments: Any, **named: Any) -> Any:
            before = self._enter(part)
            try:
                return function(*arguments, **named)
            finally:
                self._enter(before)

        return of_generator if inspect.isgeneratorfunction(inspect.unwrap(function)) else of_call

    def _enter(self, part: int) -> int:
        before, steps, entries, seconds = self._read()
        now = time.perf_counter()
        seconds[before] += now - self._since
        self._since = now
        entries[part] += 1
        self._write(part, steps, entries, seconds)
        return before

    def _read(self) -> tuple[int, int, list[int], list[float]]:
        part, steps, *rest = LAYOUT.unpack(self._memory[:])
        return part, steps, list(rest[: len(NAMES)]), list(rest[len(NAMES) :])

    def _write(self, part: int, steps: int, entries: list[int], seconds: list[float]) -> None:
        self._memory[:] = LAYOUT.pack(part, steps, *entries, *seconds)
