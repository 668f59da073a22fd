"""What happens while a model is tuned: see `seedtune.runtime.telemetry.events`, and `result.json` for RunResult."""

from __future__ import annotations

from seedtune.runtime.telemetry.events import (
    CachingContexts,
    ChoosingBatchSize,
    Evaluated,
    Evaluating,
    Event,
    Finished,
    Notice,
    Prepared,
    Step,
)
from seedtune.runtime.telemetry.records import EvaluationRecord, RunResult, StepRecord

__all__ = [
    "CachingContexts",
    "ChoosingBatchSize",
    "Evaluated",
    "Evaluating",
    "EvaluationRecord",
    "Event",
    "Finished",
    "Notice",
    "Prepared",
    "RunResult",
    "Step",
    "StepRecord",
]
