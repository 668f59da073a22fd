"""A step as a line of steps.jsonl: what the loop says of it, and what the process holds after it."""

from __future__ import annotations

import numpy as np

from seedtune.runtime.loop.descent import Descended
from seedtune.runtime.loop.steps import Taken
from seedtune.runtime.loop.taken import StepTaken
from seedtune.runtime.telemetry.memory import MemorySample, read_memory
from seedtune.runtime.telemetry.records import StepRecord


def step_record(taken: StepTaken, elapsed_seconds: float, peak: MemorySample) -> StepRecord:
    """The record of ``taken``; what is many numbers in a step of several probes or groups stands as their mean.

    Args:
        taken: the step.
        elapsed_seconds: since the run began.
        peak: the most that the process has held.
    """
    memory, work = read_memory(), taken.work
    return StepRecord(
        step=taken.step,
        **_measured(taken),
        learning_rate=taken.learning_rate,
        rows=taken.passes * work.computed,
        tokens=work.computed - work.padding,
        padding_tokens=work.padding,
        encode_ms=taken.encode_ms,
        probe_ms=taken.probe_ms,
        update_ms=taken.update_ms,
        journal_ms=taken.journal_ms,
        total_ms=taken.encode_ms + taken.probe_ms + taken.journal_ms + taken.update_ms,
        elapsed_seconds=elapsed_seconds,
        context_tokens=work.cached - work.cached_padding,
        context_padding_tokens=work.cached_padding,
        vm_rss_bytes=memory.vm_rss_bytes,
        rss_anon_bytes=memory.rss_anon_bytes,
        rss_file_bytes=memory.rss_file_bytes,
        vm_hwm_bytes=memory.vm_hwm_bytes,
        rss_anon_peak_bytes=peak.rss_anon_bytes,
    )


def _measured(taken: StepTaken) -> dict[str, float]:
    """What the step found, named as in a record."""
    match taken:
        case Taken():
            estimate = taken.estimate
            return {
                "loss": estimate.loss,
                "loss_plus": float(np.mean(estimate.loss_plus)),
                "loss_minus": float(np.mean(estimate.loss_minus)),
                "projected_gradient": float(np.mean(estimate.projected_gradient)),
                "coefficient": float(np.mean(taken.coefficients)),
            }
        case Descended():
            return {"loss": taken.loss, "gradient_norm": taken.gradient_norm}
        case _:
            raise TypeError(f"no kind of step: {taken!r}")
