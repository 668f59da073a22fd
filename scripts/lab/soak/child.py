"""A command of seedtune in a forked process, which costs no start of Python, and is killed for good if one likes.

It forks a process that has loaded everything and opened nothing; ONNX Runtime starts its threads in the child. What
SIGKILL does to a process is the same however it was started.
"""

from __future__ import annotations

import os
import signal
import sys
import time
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from lab.soak.phases import Marks
from seedtune.runtime.cli.main import run

POLL_SECONDS = 2e-4


@dataclass(frozen=True)
class Instant:
    """When to kill: ``seconds`` after a process came to ``part`` for the time ``entry``."""

    part: int
    entry: int
    seconds: float


def start(arguments: Sequence[object], log: Path, marks: Marks) -> int:
    """Begins ``seedtune ARGUMENTS`` in a process of its own, what it prints in ``log``; returns its number."""
    marks.clear()
    sys.stdout.flush()
    sys.stderr.flush()
    number = os.fork()
    if number:
        return number
    code = 1
    try:
        descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.dup2(descriptor, 1)
        os.dup2(descriptor, 2)
        sys.argv = ["seedtune", *map(str, arguments)]
        marks.mark()
        run()
        code = 0
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else 1
    except BaseException:  # noqa: BLE001 - the parent finds it in the log; nothing may return into its code
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def kill_at(number: int, instant: Instant, marks: Marks) -> int | None:
    """Waits for ``instant`` and kills; None then, or the exit code of a process that ended before."""
    while marks.entries(instant.part) < instant.entry:
        code = ended(number)
        if code is not None:
            return code
        time.sleep(POLL_SECONDS)
    until = time.perf_counter() + instant.seconds
    while time.perf_counter() < until:
        time.sleep(min(POLL_SECONDS, instant.seconds))
    code = ended(number)
    if code is None:
        os.kill(number, signal.SIGKILL)
        os.waitpid(number, 0)
    return code


def ended(number: int, wait: Callable[[int, int], tuple[int, int]] = os.waitpid) -> int | None:
    """The exit code of a process that has ended; None for one that goes on."""
    found, status = wait(number, os.WNOHANG)
    return os.waitstatus_to_exitcode(status) if found else None


def finish(number: int) -> int:
    """Waits for a process; its exit code."""
    return os.waitstatus_to_exitcode(os.waitpid(number, 0)[1])
