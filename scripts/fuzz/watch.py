"""Workers watched from outside.

One that dies or says nothing for long is a failure of the input it was at, and the next worker goes on behind it.
"""

from __future__ import annotations

import json
import selectors
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

from lab.module_process import module_environment

# A worker is begun anew so often: what it holds must not grow into the limit of the next input.
BATCH = 4_000
# Two tries of 2 s each, and a busy machine.
SILENCE_SECONDS = 10.0
# Imports, torch among them, and the whole input.
START_SECONDS = 180.0
# A panic would be told with all of its stack.
QUIET = {"RUST_BACKTRACE": "0", "OMP_NUM_THREADS": "1", "TOKENIZERS_PARALLELISM": "false"}
KEPT_FAILURES = 40


@dataclass
class Tally:
    """What came of the inputs of one target."""

    target: str
    inputs: int = 0
    refused: int = 0
    accepted: int = 0
    slowest_ms: float = 0.0
    peak_bytes: int = 0
    seconds: float = 0.0
    failures: list[dict[str, Any]] = field(default_factory=list)
    failed: int = 0

    def add(self, found: dict[str, Any]) -> None:
        """Counts one input."""
        self.inputs += 1
        self.slowest_ms = max(self.slowest_ms, found["ms"])
        self.peak_bytes = max(self.peak_bytes, found["peak_bytes"])
        if found["verdict"] == "refused":
            self.refused += 1
        elif found["verdict"] == "accepted":
            self.accepted += 1
        else:
            self.failed += 1
            if len(self.failures) < KEPT_FAILURES:
                self.failures.append(found)


def fuzz(target: str, first: int, count: int, corpus: Path | None = None) -> Tally:
    """Reads inputs ``first`` to ``first + count - 1`` of ``target``; keeps them in the folder ``corpus``, if given."""
    tally = Tally(target)
    began = time.monotonic()
    end = first + count
    while first < end:
        with tempfile.TemporaryDirectory(prefix="seedtune-fuzz-") as folder:
            for found in _worker(target, first, min(BATCH, end - first), Path(folder).resolve(), corpus):
                tally.add(found)
                first += 1
    tally.seconds = time.monotonic() - began
    return tally


def _worker(target: str, first: int, count: int, folder: Path, corpus: Path | None) -> Iterator[dict[str, Any]]:
    with tempfile.TemporaryFile() as complaints:
        command = [sys.executable, "-m", "fuzz.worker", target, str(first), str(count), str(folder)]
        command += ["--corpus", str(corpus)] if corpus else []
        process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=complaints, env=module_environment() | QUIET | QUIET
        )
        said, silent = -1, False
        assert process.stdout is not None
        try:
            for line in _lines(process.stdout):
                if said >= 0:
                    yield json.loads(line)
                said += 1
        except TimeoutError:
            silent = True
            process.kill()
        code = process.wait()
        process.stdout.close()
        complaints.seek(0)
        text = complaints.read().decode("utf-8", "replace")[-4000:]
    if said < 0:
        raise RuntimeError(f"the worker of {target} did not start:\n{text}")
    if said < count:
        verdict = "hang" if silent else "crash"
        yield {
            "seed": first + said,
            "verdict": verdict,
            "ms": 0.0,
            "peak_bytes": 0,
            "text": f"exit code {code}\n{text}",
        }


def _lines(stream: IO[bytes]) -> Iterator[bytes]:
    """Lines as they come; raises TimeoutError when nothing comes for long."""
    patience, rest = START_SECONDS, b""
    with selectors.DefaultSelector() as selector:
        selector.register(stream, selectors.EVENT_READ)
        while selector.select(patience):
            piece = stream.read1(1 << 16)  # type: ignore[attr-defined]
            if not piece:
                return
            *whole, rest = (rest + piece).split(b"\n")
            yield from whole
            patience = SILENCE_SECONDS
    raise TimeoutError
