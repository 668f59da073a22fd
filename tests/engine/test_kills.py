"""SIGKILL at any instant of a run, on what the APK holds: whoever goes on comes to the same bytes."""

from __future__ import annotations

import json
import random
import shutil
import signal
import subprocess
import time
from pathlib import Path

import pytest
from apk_lab import TUNE
from golden_run import GoldenRun, arguments, kept_states

pytestmark = pytest.mark.timeout(1500)
# A start takes about a second: so long kills come before the first step, in opening, reading rows and caching.
START_SECONDS = 1.2
# Steps of these models take some milliseconds each.
STEP_SECONDS = 0.02


@pytest.mark.parametrize("kills", [3, pytest.param(50, marks=pytest.mark.slow)])
def test_a_run_killed_at_any_instant_goes_on_bit_equal(
    java: list[str], case: GoldenRun, kills: int, tmp_path: Path
) -> None:
    generator = random.Random(kills)
    run = tmp_path / "run"
    command = [*java, TUNE, *arguments(case, run), f"--eval={case.eval}"]
    killed = 0
    while killed < kills:
        if _killed(command, generator):
            killed += 1
        else:
            # It was through before it was killed: begin anew.
            _require_same(run, case)
            shutil.rmtree(run)
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout.splitlines()[-1])["state_sha256"] == case.state_sha256
    _require_same(run, case)


def _killed(command: list[str], generator: random.Random) -> bool:
    """Whether a process was killed: in a third of the cases while it starts, else a little behind one of its steps."""
    steps, seconds = 0, generator.uniform(0, START_SECONDS)
    if generator.random() > 1 / 3:
        steps, seconds = generator.randint(1, 25), generator.uniform(0, STEP_SECONDS)
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        told = [line for _, line in zip(range(steps), process.stdout, strict=False)]
        time.sleep(seconds)
        process.send_signal(signal.SIGKILL)
        _, errors = process.communicate()
    assert process.returncode in (0, -signal.SIGKILL), errors
    # The last line is that of the end.
    return process.returncode != 0 and not any(line.startswith("{") for line in told)


def _require_same(run: Path, case: GoldenRun) -> None:
    assert (run / "journal.bin").read_bytes() == (case.folder / "journal.bin").read_bytes()
    assert kept_states(run) == kept_states(case.folder)
