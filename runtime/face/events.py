"""What happens while a model is tuned: see `seedtune.runtime.telemetry.events`, and `result.json` for RunResult."""

from __future__ import annotations

from seedtune.runtime.recipes.records import RecipeEvent, RecipeFinished, RecipePrepared, RecipeStep
from seedtune.runtime.scan.records import (
    ScanComparing,
    ScanEvent,
    ScanFinished,
    ScanPrepared,
    ScanResult,
    ScanStep,
)
from seedtune.runtime.telemetry.events import (
    CachingContexts,
    ChoosingBatchSize,
    Evaluated,
    Evaluating,
    Event,
    Finished,
    Notice,
    Planned,
    Prepared,
    Step,
    TryingSettings,
)
from seedtune.runtime.telemetry.gain import Gain
from seedtune.runtime.telemetry.records import EvaluationRecord, RunResult, StepRecord
from seedtune.runtime.telemetry.trials import Expectation

__all__ = [
    "CachingContexts",
    "ChoosingBatchSize",
    "Evaluated",
    "Evaluating",
    "EvaluationRecord",
    "Event",
    "Expectation",
    "Finished",
    "Gain",
    "Notice",
    "Planned",
    "Prepared",
    "RecipeEvent",
    "RecipeFinished",
    "RecipePrepared",
    "RecipeStep",
    "RunResult",
    "ScanComparing",
    "ScanEvent",
    "ScanFinished",
    "ScanPrepared",
    "ScanResult",
    "ScanStep",
    "Step",
    "StepRecord",
    "TryingSettings",
]
