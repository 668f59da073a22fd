"""Whether lines are whole: sequence numbers prove that none is missing and none is there twice."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True)
class Gap:
    """Lines ``first`` to ``last`` of the process ``process`` (from 1) are not there."""

    process: int
    first: int
    last: int


@dataclass(frozen=True)
class Continuity:
    """What numbered lines come to.

    Attributes:
        lines: how many there are.
        processes: how many processes wrote them; each counts from 0.
        gaps: what is missing.
        doubled: how many are there again.
    """

    lines: int
    processes: int
    gaps: tuple[Gap, ...]
    doubled: int

    @property
    def missing(self) -> int:
        """How many lines are missing."""
        return sum(gap.last - gap.first + 1 for gap in self.gaps)


class Sequence:
    """Follows numbers as they come.

    A number 0 begins a new process. Numbers before the first one that is seen are a gap too, unless ``begun_before``:
    the beginning may have been taken from the phone long ago.
    """

    def __init__(self, begun_before: bool = False) -> None:
        self._next: int | None = None if begun_before else 0
        self._lines = self._doubled = 0
        self._processes = 1
        self._gaps: list[Gap] = []

    def see(self, number: int) -> Gap | None:
        """Takes note of the next line; the gap before it, if there is one."""
        self._lines += 1
        expected = self._next
        if number == 0 and self._lines > 1:
            # A line 0 twice in a row would be told from a new process by its time only; a process writes more than one.
            self._processes += 1
            self._next = 1
            return None
        if expected is None or number == expected:
            self._next = number + 1
            return None
        if number < expected:
            self._doubled += 1
            return None
        gap = Gap(self._processes, expected, number - 1)
        self._gaps.append(gap)
        self._next = number + 1
        return gap

    @property
    def so_far(self) -> Continuity:
        """What was seen."""
        return Continuity(self._lines, self._processes, tuple(self._gaps), self._doubled)


def continuity(numbers: Iterable[int]) -> Continuity:
    """What ``numbers``, in the order of their lines, come to."""
    sequence = Sequence()
    for number in numbers:
        sequence.see(number)
    return sequence.so_far
