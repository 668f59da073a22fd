"""What the tests of runs share: files of a RUN folder read back, and interruptions."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

Tune = Callable[..., object]


def lines(path: Path) -> list[dict]:
    """The objects of a JSONL file."""
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()]


def journal_bytes(run: Path) -> bytes:
    """The journal of a RUN folder."""
    return (run / "journal.bin").read_bytes()


class Killed(BaseException):
    """What a kill is to the code around it: nothing that it could catch."""


def stop_after(steps: int) -> Callable[[], bool]:
    """A ``stop`` that is true when asked for the time ``steps``."""
    asked = [0]

    def stop() -> bool:
        asked[0] += 1
        return asked[0] >= steps

    return stop
