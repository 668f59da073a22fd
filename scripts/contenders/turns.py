"""Contenders make steps in turns, one at a time, each in a process of its own that is watched from outside.

What else the machine does meanwhile is measured too: on a busy machine threads that spin (PyTorch's) lose more than
threads that sleep (ONNX Runtime's, as set here), so ratios between them are worth nothing there.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lab.module_process import module_environment
from lab.process_memory import Watch, memory_of

ERROR_CHARACTERS = 400
RAPL = Path("/sys/class/powercap")


class ContenderError(RuntimeError):
    """A contender ended; the message is the last thing it said."""


@dataclass
class Turns:
    """What the counted turns of a contender took, one entry a turn.

    ``other_cores`` is how many processors others kept busy meanwhile, or the host took away.
    """

    milliseconds: list[float] = field(default_factory=list)
    major_faults: list[int] = field(default_factory=list)
    other_cores: list[float] = field(default_factory=list)
    joules: list[float] = field(default_factory=list)
    extra: dict[str, Any] = field(default_factory=dict)


class Contender:
    """A process that waits for its turn.

    Args:
        name: in tables.
        kind: of `worker.py`.
        options: for its ``prepare``.
        python: the interpreter to run it with.

    Attributes:
        turns: what was measured.
        refusal: why it takes no turn, or None.
        ready_seconds: what getting ready took.
        setup_peak_bytes, peak_bytes: the most RssAnon until it was ready and in its turns, sampled.
        rss_peak_bytes: the most VmRSS in its turns: the kernel's own VmHWM since it was ready.
    """

    def __init__(self, name: str, kind: str, options: Mapping[str, Any], python: str = sys.executable) -> None:
        self.name = name
        self.kind = kind
        self.options = dict(options)
        self.turns = Turns()
        self.refusal: str | None = None
        self.ready_seconds = 0.0
        self.setup_peak_bytes = self.peak_bytes = self.rss_peak_bytes = 0
        self._python = python
        self._process: subprocess.Popen[str] | None = None
        self._errors = tempfile.TemporaryFile("w+")  # noqa: SIM115 - lives as long as the process

    def start(self) -> None:
        """Starts the process and waits until it is ready; a failure becomes ``refusal``."""
        if self.refusal is not None:
            return
        self._process = subprocess.Popen(
            [self._python, "-m", "contenders.worker", self.kind],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            text=True,
            env=module_environment(),
        )
        try:
            with Watch(self._process.pid) as watch:
                self.ready_seconds = self._ask(json.dumps(self.options))["ready_seconds"]
            self.setup_peak_bytes = watch.peak["RssAnon"]
        except ContenderError as error:
            self.refusal = str(error)

    def turn(self, *, counted: bool) -> None:
        """One step; ``counted`` is False for warming up."""
        if self.refusal is not None or self._process is None:
            return
        try:
            before, others = energy_joules(), _other_seconds(self._process.pid)
            started = time.perf_counter()
            with Watch(self._process.pid) as watch:
                answer = self._ask("step")
            after, others = energy_joules(), _other_seconds(self._process.pid) - others
            others /= time.perf_counter() - started
        except ContenderError as error:
            self.refusal = str(error)
            return
        self.peak_bytes = max(self.peak_bytes, watch.peak["RssAnon"])
        self.rss_peak_bytes = max(self.rss_peak_bytes, memory_of(self._process.pid).get("VmHWM", 0))
        if counted:
            self.turns.milliseconds.append(answer.pop("milliseconds"))
            self.turns.major_faults.append(answer.pop("major_faults"))
            self.turns.other_cores.append(max(0.0, others))
            if before is not None and after is not None:
                self.turns.joules.append(after - before)
            self.turns.extra = answer

    def end(self) -> None:
        """Ends the process."""
        if self._process is not None and self._process.stdin is not None:
            self._process.stdin.close()
            self._process.wait()
        self._errors.close()

    def _ask(self, line: str) -> dict[str, Any]:
        process = self._process
        assert process is not None
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            process.stdin.write(line + "\n")
            process.stdin.flush()
        except BrokenPipeError:
            pass
        answer = process.stdout.readline()
        if answer:
            return json.loads(answer)
        code = process.wait()
        self._errors.seek(0)
        ended = f"ended by signal {-code}" if code < 0 else f"ended with exit code {code}"
        raise ContenderError(last_words(self._errors.read()) or ended if code > 0 else ended)


def interleave(contenders: Sequence[Contender], rounds: int) -> None:
    """Warms every contender up, then gives each ``rounds`` turns; every other round goes backwards."""
    for number in range(rounds + 1):
        for contender in contenders if number % 2 == 0 else reversed(contenders):
            contender.turn(counted=number > 0)


def last_words(text: str) -> str:
    """The error at the end of what a program printed: from the last line that is not indented, as one line."""
    lines = [line for line in text.splitlines() if line.strip()]
    start = max((place for place, line in enumerate(lines) if not line[0].isspace()), default=0)
    return "; ".join(line.strip() for line in lines[start:])[:ERROR_CHARACTERS]


def energy_joules() -> float | None:
    """What the processor packages have used since some time, by their own counters; None where they cannot be read."""
    try:
        packages = sorted(RAPL.glob("intel-rapl:*"))
        # "intel-rapl:0:1" is a part of "intel-rapl:0".
        counters = [path / "energy_uj" for path in packages if path.name.count(":") == 1]
        return sum(int(counter.read_text()) for counter in counters) / 1e6 if counters else None
    except OSError:
        return None


def _other_seconds(pid: int) -> float:
    """Processor seconds that everything but the process ``pid`` has used, or was refused by the host, since boot."""
    # user, nice, system, idle, iowait, irq, softirq, steal
    times = [int(value) for value in Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:9]]
    # The name in the second field may hold blanks and brackets.
    own = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[11:13]
    busy = sum(times) - times[3] - times[4]
    return (busy - sum(map(int, own))) / os.sysconf("SC_CLK_TCK")
