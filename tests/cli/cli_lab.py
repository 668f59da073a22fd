"""What the tests of the command line share: processes that are started, watched, and looked at when they are done."""

from __future__ import annotations

import json
import os
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

Seedtune = Callable[..., subprocess.CompletedProcess]


def last_json(done: subprocess.CompletedProcess) -> dict:
    """The object on the last line of stdout."""
    return json.loads(done.stdout.splitlines()[-1])


def refused(done: subprocess.CompletedProcess, *expected: str) -> None:
    """Requires a refusal: exit code 2, no traceback, and each of ``expected`` in the message."""
    assert done.returncode == 2, (done.returncode, done.stdout, done.stderr)
    assert "Traceback" not in done.stderr + done.stdout
    for text in expected:
        assert text in done.stderr


def start(entry_point: list[str], *arguments: object) -> subprocess.Popen:
    """A ``seedtune`` process that is not waited for."""
    environment = os.environ | {"NO_COLOR": "1", "TERM": "dumb"}
    command = [*entry_point, *map(str, arguments)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment)


def wait_for_steps(process: subprocess.Popen, out: Path, steps: int) -> None:
    """Until the step log of ``out`` has ``steps`` lines."""
    log, deadline = out / "steps.jsonl", time.monotonic() + 60
    while not log.exists() or log.read_bytes().count(b"\n") < steps:
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.005)
