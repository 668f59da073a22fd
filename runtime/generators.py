"""Work that tells how far it is: generators that yield progress and return a result."""

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import Any, TypeVar

Told = TypeVar("Told")
Result = TypeVar("Result")


def result_of(work: Generator[Told, None, Result], on: Callable[[Told], Any] = lambda _told: None) -> Result:
    """Runs ``work`` to its end and returns what it came to.

    Args:
        work: yields as it goes on.
        on: told what it yields.
    """
    while True:
        try:
            on(next(work))
        except StopIteration as end:
            result: Result = end.value
            return result
