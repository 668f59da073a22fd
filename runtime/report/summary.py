"""The numbers and rows a report shows, worked out from a run; nothing here knows of HTML.

The accuracy after tuning is that of the best evaluation. It was chosen on the same held-out rows, so its
interval and p-value flatter it a little; the page says so.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from seedtune.runtime.report.collect import RunData
from seedtune.runtime.report.statistics import PairedComparison, paired_comparison, wilson_interval
from seedtune.runtime.telemetry.gain import describe_gain
from seedtune.runtime.telemetry.records import EvaluationRecord, PredictionRecord

EXAMPLES_OF_EACH_KIND = 20
# Wider tables do not fit a phone, and nobody reads them.
MAX_CONFUSION_LABELS = 12


@dataclass(frozen=True, slots=True)
class Accuracy:
    """An accuracy on ``examples`` rows, with its 95 % Wilson interval; all from 0 to 1."""

    value: float
    low: float
    high: float
    examples: int


@dataclass(frozen=True, slots=True)
class ChangedExample:
    """A held-out row whose prediction changed; probabilities are those of the label, ``None`` if not finite."""

    index: int
    fields: dict[str, str]
    label: str
    before: str
    after: str
    label_probability_before: float | None
    label_probability_after: float | None


@dataclass(frozen=True, slots=True)
class Confusion:
    """Counts of rows by label (down) and prediction (across), in the order of ``labels``."""

    labels: tuple[str, ...]
    counts: tuple[tuple[int, ...], ...]


@dataclass(frozen=True, slots=True)
class Summary:
    """What the head and the tables of the page show; ``None`` or empty where the run does not tell.

    ``fixed`` and ``broken`` hold at most 20 rows each, those first whose label gained or lost most
    probability; ``comparison`` counts all. ``probe`` is that of the linear probe, where the run started from
    one; ``tuned`` that of the best state behind a step, ``tuned_step``, whether it is the best of all or not; ``gain``
    says whether it gained more than noise. ``other_changes`` counts rows that went from one wrong label to another.
    """

    before: Accuracy | None
    probe: Accuracy | None
    tuned: Accuracy | None
    tuned_step: int | None
    gain: str
    after: Accuracy | None
    best_step: int | None
    comparison: PairedComparison | None
    steps_done: int
    seconds: float | None
    peak_rss_anon_bytes: int | None
    lost_steps: int
    fixed: tuple[ChangedExample, ...]
    broken: tuple[ChangedExample, ...]
    other_changes: int
    confusion_before: Confusion | None
    confusion_after: Confusion | None


def summarise(run: RunData) -> Summary:
    """Works out the summary of a run, finished or not."""
    result = run.result
    last = run.steps[-1] if run.steps else None
    peaks = [s.rss_anon_peak_bytes for s in run.steps if s.rss_anon_peak_bytes is not None]
    if result is not None and result.rss_anon_peak_bytes is not None:
        peaks.append(result.rss_anon_peak_bytes)
    best = next((r.step for r in reversed(run.evaluations) if r.best), None)
    best_step = result.best_step if result is not None and result.best_step is not None else best
    pairs = _pairs(run)
    names = label_names(run)
    tuned = min((r for r in run.evaluations if r.step and r.loss is not None), key=_loss, default=None)
    changed = [(b, a) for b, a in pairs if b.prediction != a.prediction]
    return Summary(
        before=_before(run),
        probe=_probe(run),
        tuned=_accuracy(tuned.accuracy, tuned.examples) if tuned else None,
        tuned_step=tuned.step if tuned else None,
        gain=describe_gain(result.gain) if result is not None and result.gain is not None else "",
        after=_after(run, best_step),
        best_step=best_step,
        comparison=_comparison(pairs),
        steps_done=result.steps if result is not None else last.step if last else 0,
        seconds=result.seconds_total if result is not None else last.elapsed_seconds if last else None,
        peak_rss_anon_bytes=max(peaks, default=None),
        lost_steps=sum(record.loss is None for record in run.steps),
        fixed=_examples([(b, a) for b, a in changed if a.prediction == a.label], names),
        broken=_examples([(b, a) for b, a in changed if b.prediction == b.label], names),
        other_changes=sum(a.label not in (b.prediction, a.prediction) for b, a in changed),
        confusion_before=_confusion(run.predictions_start, names),
        confusion_after=_confusion(run.predictions_best, names),
    )


def label_names(run: RunData) -> tuple[str, ...]:
    """The names of the task's labels, in order."""
    return tuple(label.name for label in run.description.task.labels)


def _before(run: RunData) -> Accuracy | None:
    if run.predictions_start:
        return _accuracy_of(run.predictions_start)
    first = run.evaluations[0] if run.evaluations else None
    return _accuracy(first.accuracy, first.examples) if first is not None and first.step == 0 else None


def _probe(run: RunData) -> Accuracy | None:
    first = run.evaluations[0] if run.evaluations else None
    if run.description.start_sha256 is None or first is None or first.step:
        return None
    return _accuracy(first.accuracy, first.examples)


def _after(run: RunData, best_step: int | None) -> Accuracy | None:
    if run.predictions_best and len(run.predictions_best) >= len(run.predictions_start):
        return _accuracy_of(run.predictions_best)
    # The file of a run under way may be cut short; the evaluation itself is complete.
    at_best = next((r for r in run.evaluations if r.step == best_step), None)
    return None if at_best is None else _accuracy(at_best.accuracy, at_best.examples)


def _loss(record: EvaluationRecord) -> float:
    return math.inf if record.loss is None else record.loss


def _accuracy_of(records: tuple[PredictionRecord, ...]) -> Accuracy:
    correct = sum(record.prediction == record.label for record in records)
    return _accuracy(correct / len(records), len(records))


def _accuracy(value: float, examples: int) -> Accuracy:
    low, high = wilson_interval(round(value * examples), examples)
    return Accuracy(value, low, high, examples)


def _pairs(run: RunData) -> list[tuple[PredictionRecord, PredictionRecord]]:
    start = {record.index: record for record in run.predictions_start}
    return [(start[record.index], record) for record in run.predictions_best if record.index in start]


def _comparison(pairs: list[tuple[PredictionRecord, PredictionRecord]]) -> PairedComparison | None:
    if not pairs:
        return None
    return paired_comparison(
        [before.prediction == before.label for before, _ in pairs],
        [after.prediction == after.label for _, after in pairs],
    )


def _examples(
    pairs: list[tuple[PredictionRecord, PredictionRecord]], names: tuple[str, ...]
) -> tuple[ChangedExample, ...]:
    examples = [
        ChangedExample(
            index=after.index,
            fields=after.fields,
            label=_name(after.label, names),
            before=_name(before.prediction, names),
            after=_name(after.prediction, names),
            label_probability_before=_probability(before),
            label_probability_after=_probability(after),
        )
        for before, after in pairs
    ]
    examples.sort(key=lambda e: (-_change(e), e.index))
    return tuple(examples[:EXAMPLES_OF_EACH_KIND])


def _change(example: ChangedExample) -> float:
    before, after = example.label_probability_before, example.label_probability_after
    return 0.0 if before is None or after is None else abs(after - before)


def _probability(record: PredictionRecord) -> float | None:
    # A negative place would silently count from the end.
    in_range = 0 <= record.label < len(record.probabilities)
    return record.probabilities[record.label] if in_range else None


def _name(place: int, names: tuple[str, ...]) -> str:
    return names[place] if 0 <= place < len(names) else str(place)


def _confusion(records: tuple[PredictionRecord, ...], names: tuple[str, ...]) -> Confusion | None:
    if not records or not 0 < len(names) <= MAX_CONFUSION_LABELS:
        return None
    counts = [[0] * len(names) for _ in names]
    for record in records:
        if not (0 <= record.label < len(names) and 0 <= record.prediction < len(names)):
            return None
        counts[record.label][record.prediction] += 1
    return Confusion(names, tuple(tuple(row) for row in counts))
