"""The end of a run, for now or for good: result.json."""

from __future__ import annotations

from seedtune.runtime.graphs.state import State
from seedtune.runtime.graphs.types import MemoryChoice
from seedtune.runtime.run.folder import RunFolder
from seedtune.runtime.run.held_out import HeldOut
from seedtune.runtime.run.listeners.outcome import Outcome
from seedtune.runtime.run.settings import Settings
from seedtune.runtime.run.stopping import EndedBy
from seedtune.runtime.telemetry.memory import PeakSampler, read_memory
from seedtune.runtime.telemetry.records import RunResult


def conclude(
    folder: RunFolder,
    outcome: Outcome,
    settings: Settings,
    held_out: HeldOut | None,
    state: State,
    *,
    steps: int,
    starts_from_probe: bool,
    seconds: float,
    peak: PeakSampler,
    memory: MemoryChoice | None,
    ended_by: EndedBy,
) -> RunResult:
    """Writes what a run came to.

    Args:
        folder: where it is.
        outcome: the sums over its steps, and what it said beforehand.
        settings: of it.
        held_out: its held-out rows.
        state: after ``steps`` steps.
        steps: that were made.
        starts_from_probe: whether it started from a linear probe.
        seconds: since it began.
        peak: the most memory that the process has held.
        memory: what its graphs keep to; None without a limit.
        ended_by: what ended it.

    Raises:
        SeedTuneError: the file cannot be written.
    """
    start = "linear-probe" if starts_from_probe else "zero"
    result = outcome.result(
        steps=steps,
        evaluations=held_out.records if held_out else (),
        zero_shot=held_out.zero_shot if held_out else None,
        start=start,
        state_sha256=state.sha256(),
        journal=str(folder.journal),
        seconds=seconds,
        rss_anon_peak_bytes=peak.peak.rss_anon_bytes,
        vm_hwm_bytes=read_memory().vm_hwm_bytes,
        memory_limit_bytes=memory.limit_bytes if memory else None,
        ended_by=ended_by,
        settings=settings,
        gain=held_out.beside_start.gain(over="zero-shot" if start == "zero" else start) if held_out else None,
        features=held_out.features if held_out else None,
    )
    folder.write_result(result)
    return result
