"""What is told of the machine is what Python tells, and is found without another process."""

from __future__ import annotations

import platform
import subprocess
import sys

import onnxruntime
import pytest

from seedtune.runtime.telemetry.this_machine import this_machine

WATCHED = """
import sys
def watch(event, arguments):
    if event in ("subprocess.Popen", "os.fork", "os.posix_spawn", "os.exec", "os.system"):
        raise SystemExit(f"{event} {arguments}")
sys.addaudithook(watch)
from seedtune.runtime.telemetry.this_machine import this_machine
print(this_machine().platform)
"""


def test_no_process_is_started_in_which_a_runs_lock_would_live_on() -> None:
    done = subprocess.run([sys.executable, "-c", WATCHED], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == this_machine().platform


@pytest.mark.skipif(sys.platform != "linux", reason="spelled otherwise elsewhere")
def test_it_is_spelled_as_python_spells_it() -> None:
    machine = this_machine()
    assert machine.platform == platform.platform()
    assert (machine.python, machine.onnxruntime) == (platform.python_version(), onnxruntime.__version__)
    assert machine.processor
