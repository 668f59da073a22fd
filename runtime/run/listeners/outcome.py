"""What a run came to: the sums that its steps are added to, and the result they make."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence

from seedtune.runtime.run.methods.choice import method_name
from seedtune.runtime.run.settings import Settings
from seedtune.runtime.telemetry.events import Event, Step
from seedtune.runtime.telemetry.features import FeatureResult
from seedtune.runtime.telemetry.gain import Gain
from seedtune.runtime.telemetry.records import EvaluationRecord, RunResult, StepRecord
from seedtune.runtime.telemetry.trials import Expectation

# Share of the steps whose training losses stand for start and end when there are no held-out rows.
EDGE_SHARE = 0.1


class Outcome:
    """The steps of a run so far, resumed ones included.

    Args:
        before: the steps of the log of a run that is resumed.

    Attributes:
        expected: what a run with a budget said beforehand.
    """

    def __init__(self, before: Sequence[StepRecord] = ()) -> None:
        self.expected: Expectation | None = None
        self.seconds_before = before[-1].elapsed_seconds if before else 0.0
        self._losses: list[float] = []
        self._probe_ms: list[float] = []
        self._tokens = self._padding = self._context_tokens = self._context_padding = 0
        for record in before:
            self._add(record)

    def on(self, event: Event) -> None:
        """Counts one more step."""
        if isinstance(event, Step):
            self._add(event.record)

    def _add(self, record: StepRecord) -> None:
        if record.loss is not None:
            self._losses.append(record.loss)
        self._probe_ms.append(record.probe_ms)
        self._tokens += record.tokens
        self._padding += record.padding_tokens
        self._context_tokens += record.context_tokens
        self._context_padding += record.context_padding_tokens

    def result(
        self,
        *,
        steps: int,
        evaluations: Sequence[EvaluationRecord],
        zero_shot: EvaluationRecord | None,
        start: str,
        state_sha256: str,
        journal: str,
        seconds: float,
        rss_anon_peak_bytes: int | None,
        vm_hwm_bytes: int | None,
        memory_limit_bytes: int | None,
        ended_by: str,
        settings: Settings,
        gain: Gain | None,
        features: FeatureResult | None = None,
    ) -> RunResult:
        """result.json; arguments as its fields, all evaluations so far, and that of the untouched model."""
        best = best_of(evaluations)
        best_accuracy = best.accuracy if best else zero_shot.accuracy if zero_shot else None
        # A run that starts from zero starts from the untouched model.
        first = evaluations[0] if evaluations and evaluations[0].step == 0 else None
        before, probe = (first, None) if start == "zero" and first else (zero_shot, first)
        tuned = best_tuned(evaluations)
        if evaluations:
            loss_start, loss_end = evaluations[0].loss, evaluations[-1].loss
        else:
            # What steps of another objective recorded is no loss.
            loss_start, loss_end = self._edges() if settings.objective == "loss" else (None, None)
        return RunResult(
            steps=steps,
            loss_start=loss_start,
            loss_end=loss_end,
            state_sha256=state_sha256,
            journal=journal,
            probe_ms_median=statistics.median(self._probe_ms) if self._probe_ms else None,
            rss_anon_peak_bytes=rss_anon_peak_bytes,
            vm_hwm_bytes=vm_hwm_bytes,
            memory_limit_bytes=memory_limit_bytes,
            best_step=best.step if best else None,
            accuracy_start=evaluations[0].accuracy if evaluations else None,
            accuracy_best=best_accuracy,
            accuracy_end=evaluations[-1].accuracy if evaluations else None,
            seconds_total=seconds,
            interrupted=ended_by == "interruption",
            batch_size=settings.batch_size or None,
            start=start,
            accuracy_zero_shot=before.accuracy if before else None,
            loss_zero_shot=before.loss if before else None,
            padding_share=_share(self._padding, self._tokens),
            context_padding_share=_share(self._context_padding, self._context_tokens),
            objective=settings.objective,
            method=self.expected.method if self.expected else method_name(settings) if settings.batch_size else None,
            example_passes=steps * settings.batch_size * settings.estimator.passes_a_row,
            stands_for=_stands_for(start, steps, best, evaluations),
            ended_by=ended_by,
            accuracy_linear_probe=probe.accuracy if probe else None,
            loss_linear_probe=probe.loss if probe else None,
            accuracy_tuned=tuned.accuracy if tuned else None,
            loss_tuned=tuned.loss if tuned else None,
            gain=gain,
            expected=self.expected,
            features=features,
        )

    def _edges(self) -> tuple[float | None, float | None]:
        """Mean training loss of the first and of the last steps."""
        if not self._losses:
            return None, None
        edge = max(1, round(len(self._losses) * EDGE_SHARE))
        return statistics.fmean(self._losses[:edge]), statistics.fmean(self._losses[-edge:])


def best_of(evaluations: Sequence[EvaluationRecord]) -> EvaluationRecord | None:
    """The best evaluation so far; the earliest of equals."""
    marked = [record for record in evaluations if record.best]
    return marked[-1] if marked else None


def best_tuned(evaluations: Sequence[EvaluationRecord]) -> EvaluationRecord | None:
    """The best evaluation behind a step, whether it was better than the start or not."""
    found = [record for record in evaluations if record.step and record.loss is not None]
    return min(found, key=_worth) if found else None


def is_best_tuned(record: EvaluationRecord, before: Sequence[EvaluationRecord]) -> bool:
    """Whether ``record``, of a step, would be that of :func:`best_tuned` after those ``before`` it."""
    best = best_tuned(before)
    return record.loss is not None and math.isfinite(record.loss) and (best is None or _worth(record) < _worth(best))


def _worth(record: EvaluationRecord) -> tuple[float, float]:
    """The lower the better: the objective, if it is not the loss; of equals the loss."""
    loss = math.inf if record.loss is None or math.isnan(record.loss) else record.loss
    return 0.0 if record.objective is None else record.objective, loss


def _stands_for(start: str, steps: int, best: EvaluationRecord | None, evaluations: Sequence[EvaluationRecord]) -> str:
    """zero-shot, linear-probe or tuned: what the folder stands for."""
    if evaluations and best is None:
        return "zero-shot"
    step = best.step if best else steps
    return "tuned" if step else "zero-shot" if start == "zero" else start


def _share(padding: int, tokens: int) -> float | None:
    whole = padding + tokens
    return padding / whole if whole else None
