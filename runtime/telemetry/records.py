"""The files of a RUN folder, as types: what a run writes and a report reads.

======================== ============================ =============================
file                     type                         how many
======================== ============================ =============================
run.json                 :class:`RunDescription`      one, written when a run begins
steps.jsonl              :class:`StepRecord`          one line a step
start.safetensors        see `runtime/start/file.py`  one, if a run starts from a linear probe
zero_shot.json           :class:`EvaluationRecord`    one, of such a run with held-out rows
trials.json              see `telemetry/trials.py`    one, of a run with a budget
held_out_losses.json     see `telemetry/gain.py`      one, with held-out rows; features.json of heads
evaluations.jsonl        :class:`EvaluationRecord`    one line an evaluation
predictions_start.jsonl  :class:`PredictionRecord`    one line a held-out row
predictions_best.jsonl   :class:`PredictionRecord`    one line a held-out row
result.json              :class:`RunResult`           one, absent while unfinished
======================== ============================ =============================

JSON has no NaN or infinity: msgspec writes ``null``. A diverged run must still be readable, so every number that can
diverge is ``float | None``: ``None`` was not finite. Memory is ``None`` where the system does not tell. Fields that a
type does not name are ignored: a later minor version may add some.
"""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from msgspec import Meta

from seedtune.runtime.telemetry.features import FeatureResult
from seedtune.runtime.telemetry.gain import Gain
from seedtune.runtime.telemetry.trials import Expectation

FORMAT_VERSION = 1
RUN_FILE = "run.json"
JOURNAL_FILE = "journal.bin"
START_FILE = "start.safetensors"
ZERO_SHOT_FILE = "zero_shot.json"
STEPS_FILE = "steps.jsonl"
EVALUATIONS_FILE = "evaluations.jsonl"
PREDICTIONS_START_FILE = "predictions_start.jsonl"
PREDICTIONS_BEST_FILE = "predictions_best.jsonl"
RESULT_FILE = "result.json"


class StepRecord(msgspec.Struct, frozen=True, kw_only=True):
    """One step: a probe or a gradient, an update, a journal entry.

    ``loss`` is in nats, of a probe the mean of both sides; ``loss_plus`` to ``coefficient`` are of a probe,
    ``gradient_norm`` of a gradient; ``rows`` counts token rows, both sides and padding included
    (what decides time and memory); ``tokens`` the tokens of the examples, ``padding_tokens`` what fills up the
    shorter ones, one side each; ``context_tokens`` are those whose keys and values came from a cache instead, without
    the ``context_padding_tokens`` beside them; ``elapsed_seconds`` runs since the run began.
    """

    step: int
    loss: float | None
    learning_rate: float
    rows: int
    tokens: int
    padding_tokens: int
    encode_ms: float
    probe_ms: float
    update_ms: float
    journal_ms: float
    total_ms: float
    elapsed_seconds: float
    loss_plus: float | None = None
    loss_minus: float | None = None
    projected_gradient: float | None = None
    coefficient: float | None = None
    gradient_norm: float | None = None
    context_tokens: int = 0
    context_padding_tokens: int = 0
    vm_rss_bytes: int | None = None
    rss_anon_bytes: int | None = None
    rss_file_bytes: int | None = None
    vm_hwm_bytes: int | None = None
    rss_anon_peak_bytes: int | None = None


class EvaluationRecord(msgspec.Struct, frozen=True, kw_only=True):
    """One pass over the held-out rows after ``step`` steps; ``best`` if no earlier one was better.

    Step 0 is the start of the run. Where that is a linear probe, ``zero_shot.json`` is of the untouched model.
    ``objective`` is what the run lowers, on these rows, where that is not the loss; the best is then by it.
    """

    step: int
    accuracy: float
    loss: float | None
    examples: int
    seconds: float
    best: bool
    objective: float | None = None


class PredictionRecord(msgspec.Struct, frozen=True, kw_only=True):
    """One held-out row; ``label`` and ``prediction`` count from 0 in the task's list of labels."""

    index: int
    fields: dict[str, str]
    label: int
    prediction: int
    probabilities: list[float | None]
    loss: float | None


class ModelInfo(msgspec.Struct, frozen=True, kw_only=True):
    """Where the model came from; ``parameters`` counts its weights."""

    source: str
    family: str
    architecture: str
    parameters: int


class LabelInfo(msgspec.Struct, frozen=True, kw_only=True):
    """One label: its value in the data, its name for people, its word in the template."""

    value: Any
    name: str
    word: str


class TaskInfo(msgspec.Struct, frozen=True, kw_only=True):
    """What is learnt: how a row becomes text, and the words that stand for the labels."""

    name: str
    template: str
    labels: list[LabelInfo]


class DataFileInfo(msgspec.Struct, frozen=True, kw_only=True):
    """One data file: path as given, rows used, SHA-256 of its bytes in hexadecimal."""

    path: str
    rows: int
    sha256: str


class DataInfo(msgspec.Struct, frozen=True, kw_only=True):
    """The rows to learn from, and the held-out rows if there are any.

    ``split_off`` rows of the training file are the held-out rows, and not learnt from; 0 if they came otherwise.
    """

    train: DataFileInfo
    eval: DataFileInfo | None = None
    split_off: Annotated[int, Meta(ge=0)] = 0


class StateInfo(msgspec.Struct, frozen=True, kw_only=True):
    """The trainable state: its parameters, the layers that carry it (or a word for them), its rank."""

    parameters: int
    targets: list[str] | str
    rank: int


class MachineInfo(msgspec.Struct, frozen=True, kw_only=True):
    """Where it ran, with the versions that decide what it computed."""

    platform: str
    processor: str
    cores: int
    python: str
    onnxruntime: str


class PlanInfo(msgspec.Struct, frozen=True, kw_only=True):
    """When a run ends before its last step, and what it was given.

    ``budget_seconds`` is None for a run without a budget; after ``patience`` evaluations without a new best it ends, 0
    for never. ``given`` are the settings that trials may not change.
    """

    budget_seconds: Annotated[float, Meta(gt=0)] | None = None
    patience: Annotated[int, Meta(ge=0)] = 0
    given: dict[str, Any] = {}


class RunDescription(msgspec.Struct, frozen=True, kw_only=True):
    """``run.json``: what was fixed before the first step; ``created`` is ISO 8601, ``start_sha256`` that of a start."""

    format_version: int
    seedtune_version: str
    created: str
    bundle: str
    bundle_sha256: str
    model: ModelInfo
    task: TaskInfo
    settings: dict[str, Any]
    data: DataInfo
    state: StateInfo
    machine: MachineInfo
    start_sha256: str | None = None
    plan: PlanInfo = PlanInfo()


class RunResult(msgspec.Struct, frozen=True, kw_only=True):
    """``result.json``: what came out. Accuracies are ``None`` without held-out rows.

    ``vm_hwm_bytes`` is the most that the process held since it began, ``memory_limit_bytes`` what it was asked to stay
    under. ``padding_share`` is the part of the computed tokens that was padding, ``context_padding_share`` that of the
    cached ones. The fields that end with ``zero_shot`` are of the untouched model, those with ``start`` of what the run
    started from, ``start``: "linear-probe" or "zero"; those with ``tuned`` of its best state after a step, whether it
    was better or not. ``best_step`` is None without held-out rows, and where no step was better than the untouched
    model, which is then what the folder stands for. ``stands_for`` says it in a word: zero-shot, linear-probe or tuned.
    ``method`` is how steps were found: two-sided, gradient, or none where no step was to be made.
    ``example_passes`` counts what the steps computed, a probe as two a row, a gradient as one. ``ended_by`` is steps,
    patience, budget, choice (no step was worth making) or interruption; ``expected`` is what a run with a budget said
    beforehand; ``features`` is of heads. ``objective`` is what the steps lowered: "loss", "accuracy" or "f1"; of the
    latter the losses of ``steps.jsonl`` are 1 - accuracy or 1 - F1.
    """

    steps: int
    loss_start: float | None
    loss_end: float | None
    state_sha256: str
    journal: str
    probe_ms_median: float | None
    rss_anon_peak_bytes: int | None
    best_step: int | None
    accuracy_start: float | None
    accuracy_best: float | None
    accuracy_end: float | None
    seconds_total: float
    interrupted: bool
    batch_size: int | None = None
    padding_share: float | None = None
    context_padding_share: float | None = None
    vm_hwm_bytes: int | None = None
    memory_limit_bytes: int | None = None
    start: str = "zero"
    accuracy_zero_shot: float | None = None
    loss_zero_shot: float | None = None
    objective: str = "loss"
    method: str | None = None
    example_passes: int | None = None
    stands_for: str | None = None
    ended_by: str | None = None
    accuracy_linear_probe: float | None = None
    loss_linear_probe: float | None = None
    accuracy_tuned: float | None = None
    loss_tuned: float | None = None
    gain: Gain | None = None
    expected: Expectation | None = None
    features: FeatureResult | None = None
