"""A step as a line of steps.jsonl: what the loop says of it, and what the process holds after it."""

from __future__ import annotations

import numpy as np

from seedtune.runtime.loop.steps import Taken
from seedtune.runtime.telemetry.memory import MemorySample, read_memory
from seedtune.runtime.telemetry.records import StepRecord


def step_record(taken: Taken, elapsed_seconds: float, peak: MemorySample) -> StepRecord:
    """The record of ``taken``; what is many numbers in a step of several probes or groups stands as their mean.

    Args:
        taken: the step.
        elapsed_seconds: since the run began.
        peak: the most that the process has held.
    """
    memory, estimate, work = read_memory(), taken.estimate, taken.work
    plus, minus, gradient, coefficient = (
        float(np.mean(values))
        for values in (estimate.loss_plus, estimate.loss_minus, estimate.projected_gradient, taken.coefficients)
    )
    return StepRecord(
        step=taken.step,
        loss=estimate.loss,
        loss_plus=plus,
        loss_minus=minus,
        projected_gradient=gradient,
        coefficient=coefficient,
        learning_rate=taken.learning_rate,
        rows=2 * work.computed,
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
