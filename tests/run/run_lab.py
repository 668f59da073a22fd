"""What the tests of runs share: files of a RUN folder read back, and interruptions."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from typer.testing import CliRunner, Result

from seedtune.runtime.cli.main import app
from seedtune.runtime.telemetry.records import RunResult

Tune = Callable[..., RunResult]
# A budget that a busy machine keeps to as well: the runs that have it end long before.
LARGE = "5m"
# From zero, so that what steps do is not hidden by what a closed form does; `test_start_run.py` has the other start.
DEFAULTS = {"steps": 8, "batch_size": 8, "learning_rate": 0.1, "eval_every": 3, "seed": 5, "start": "zero"}


def lines(path: Path) -> list[dict]:
    """The objects of a JSONL file."""
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()]


def trials_of(run: Path) -> dict[str, Any]:
    """trials.json of a RUN folder."""
    found: dict[str, Any] = json.loads((run / "trials.json").read_text())
    return found


def journal_bytes(run: Path) -> bytes:
    """The journal of a RUN folder."""
    return (run / "journal.bin").read_bytes()


def losses_and_accuracy(result: RunResult) -> tuple[float, float, float]:
    """Loss at the start and at the end, and accuracy at the end, of a run with held-out rows."""
    assert result.loss_start is not None
    assert result.loss_end is not None
    assert result.accuracy_end is not None
    return result.loss_start, result.loss_end, result.accuracy_end


class Killed(BaseException):
    """What a kill is to the code around it: nothing that it could catch."""


def stop_after(steps: int) -> Callable[[], bool]:
    """A ``stop`` that is true when asked for the time ``steps``."""
    asked = [0]

    def stop() -> bool:
        asked[0] += 1
        return asked[0] >= steps

    return stop


def call(*arguments: object) -> Result:
    """The command in this process; raises the SeedTuneError that it ends with."""
    done = CliRunner().invoke(app, [str(argument) for argument in arguments])
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        raise done.exception
    return done


def last(done: Result) -> dict[str, Any]:
    """The object that ``--json`` printed."""
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found
