"""One ``seedtune run`` under a memory cap, from dropped caches: what became of it, how fast it was, what it held.

Imports neither ONNX Runtime nor numpy: pages of a library that this process has mapped would not be charged to the run.
"""

from __future__ import annotations

import json
import os
import statistics
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

from lab import page_cache
from lab.memory_cap import CapError, CappedRun, run_capped

# The share of a bundle that may be in the page cache before a run, and so be used free of charge.
CACHED_SHARE = 0.01
MESSAGE_CHARACTERS = 2000

SEEDTUNE = (str(Path(sys.executable).with_name("seedtune")), "run")


@dataclass(frozen=True, kw_only=True)
class TuningRun:
    """A run that is over.

    Attributes:
        cap_bytes: the cap, or None.
        outcome: "ran", "killed" (by the kernel, for want of memory), "refused" (by SeedTune), "stopped" (too slow) or
            "failed".
        message: why, if it did not run to its end.
        step_seconds: of each step, a probe and an update.
        step_read_bytes: read from storage in each step but the first, to within a sample.
        losses: of each step.
        process: what was seen from outside.
    """

    cap_bytes: int | None
    outcome: str
    message: str
    step_seconds: list[float]
    step_read_bytes: list[int]
    losses: list[float | None]
    process: CappedRun

    @property
    def other_steps_seconds(self) -> float | None:
        """The median of all steps but the first, which also reads the weights for the first time."""
        return statistics.median(self.step_seconds[1:]) if self.step_seconds[1:] else None

    def ratio(self, other: TuningRun) -> float | None:
        """How many times as long as in ``other`` a step takes; of first steps where one has no others."""
        mine, its = self.other_steps_seconds, other.other_steps_seconds
        if mine is None or its is None:
            mine, its = (run.step_seconds[0] if run.step_seconds else None for run in (self, other))
        return mine / its if mine and its else None


def tune_under(
    cap_bytes: int | None,
    bundle: Path,
    options: Sequence[str],
    out: Path,
    timeout_seconds: float,
    command: Sequence[str] = (),
) -> TuningRun:
    """Drops caches, then tunes ``bundle`` under a cap.

    Args:
        cap_bytes: the hard limit on everything, or None.
        bundle: the bundle folder.
        options: of ``seedtune run``, without --out.
        out: the RUN folder, not yet there.
        timeout_seconds: when to stop it.
        command: what tunes, with the options of ``seedtune run``; that by default.

    Raises:
        CapError: the cap cannot be enforced, or the bundle stays cached.
    """
    files = [path.resolve() for path in sorted(bundle.iterdir()) if path.is_file()]
    cached, size = page_cache.drop(files), sum(path.stat().st_size for path in files)
    if cached > CACHED_SHARE * size:
        raise CapError(
            f"{cached:,} of {size:,} bytes of {bundle} stay in the page cache, where they are used free of charge\n"
            "  remedy: end the processes that have it mapped; a bundle in a tmpfs cannot be measured"
        )
    steps_file = out / "steps.jsonl"
    read_at_steps: list[int] = []
    seen_size = 0

    def note_steps(read_bytes: int) -> None:
        nonlocal seen_size
        try:
            now = steps_file.stat().st_size
        except FileNotFoundError:
            return
        if now != seen_size:
            seen_size = now
            read_at_steps.append(read_bytes)

    process = run_capped(
        [*(command or SEEDTUNE), str(bundle), *options, "--out", str(out)],
        cap_bytes,
        environment=os.environ | {"NO_COLOR": "1", "TERM": "dumb"},
        timeout_seconds=timeout_seconds,
        on_sample=note_steps,
    )
    steps = _records(steps_file)
    outcome, message = _outcome(process, len(steps))
    return TuningRun(
        cap_bytes=cap_bytes,
        outcome=outcome,
        message=message,
        step_seconds=[step["total_ms"] / 1e3 for step in steps],
        step_read_bytes=[after - before for before, after in pairwise(read_at_steps)],
        losses=[step["loss"] for step in steps],
        process=process,
    )


def _outcome(process: CappedRun, steps: int) -> tuple[str, str]:
    said = process.stderr.strip()[-MESSAGE_CHARACTERS:]
    if process.timed_out:
        return "stopped", f"after {process.seconds:.0f} s and {steps} steps"
    if process.killed:
        return "killed", f"by the kernel, for want of memory, after {process.seconds:.1f} s and {steps} steps"
    if process.returncode == 0:
        return "ran", ""
    return "refused" if process.returncode == 2 else "failed", said or f"exit code {process.returncode}"


def _records(file: Path) -> list[dict[str, Any]]:
    """The steps of a log, whose last line may be torn."""
    text = file.read_text() if file.exists() else ""
    return [json.loads(line) for line in text.splitlines(keepends=True) if line.endswith("\n")]
