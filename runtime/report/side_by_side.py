"""Several runs in one table, and their curves: models, bundles, machines and phones beside each other."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from seedtune.runtime.durations import short_duration
from seedtune.runtime.report.collect import RunData, collect
from seedtune.runtime.report.summary import summarise
from seedtune.runtime.report.tables import Cell, Table
from seedtune.runtime.telemetry.phone.series import Sample
from seedtune.runtime.telemetry.records import EVALUATIONS_FILE, RESULT_FILE, RUN_FILE, STEPS_FILE

NOTHING = Cell("\N{EN DASH}")
MEMORY_KINDS = ("PSS", "RssAnon", "RssFile", "VmHWM")
# Kind -> field of steps.jsonl, for runs that no phone told of.
_STEP_FIELDS = {"RssAnon": "rss_anon_bytes", "RssFile": "rss_file_bytes", "VmHWM": "vm_hwm_bytes"}


@dataclass(frozen=True)
class NamedRun:
    """A run and what it is called: the name of its folder, or as much of its path as tells it from the others."""

    name: str
    data: RunData


def collect_runs(folders: Sequence[str | os.PathLike[str]]) -> list[NamedRun]:
    """Reads several RUN folders.

    Raises:
        SeedTuneError: one is no run or is damaged.
    """
    paths = [Path(folder) for folder in folders]
    parts = 1
    while parts < 6 and len({_last(path, parts) for path in paths}) < len(paths):
        parts += 1
    return [NamedRun(_last(path, parts), collect(path)) for path in paths]


def memory_series(run: RunData, kind: str) -> list[Sample]:
    """Memory of ``kind`` over time, in bytes: as the phone told it, else after each step."""
    told = run.phone.series.get(kind)
    if told:
        return told
    if kind == "PSS" and run.phone.series.get("PSS, dumpsys"):
        return run.phone.series["PSS, dumpsys"]
    field = _STEP_FIELDS.get(kind)
    found = [(record, getattr(record, field)) for record in run.steps] if field else []
    return [
        Sample(record.elapsed_seconds, float(value), f"{STEPS_FILE}: step {record.step}")
        for record, value in found
        if value is not None
    ]


def memory_peak(run: RunData, kind: str) -> Sample | None:
    """The most memory of ``kind``."""
    return max(memory_series(run, kind), key=lambda sample: sample.value, default=None)


def memory_table(runs: Sequence[NamedRun]) -> Table:
    """A row a run, a column a kind: the most memory of it."""
    rows = []
    for run in runs:
        peaks = [memory_peak(run.data, kind) for kind in MEMORY_KINDS]
        cells = [NOTHING if peak is None else Cell(f"{peak.value / 1e6:,.1f}", peak.place) for peak in peaks]
        model = Cell(run.data.description.model.source, RUN_FILE)
        rows.append((Cell(run.name), model, Cell(_machine(run.data)), *cells))
    return Table(("run", "model", "machine", *(f"peak {kind}, MB" for kind in MEMORY_KINDS)), tuple(rows))


def comparison_table(runs: Sequence[NamedRun]) -> Table:
    """A row a measure, a column a run; measures that no run has are left out."""
    rows = []
    for name, read in _MEASURES:
        cells = [read(run.data) or NOTHING for run in runs]
        if any(cell is not NOTHING for cell in cells):
            rows.append((Cell(name), *cells))
    return Table(("", *(run.name for run in runs)), tuple(rows))


def _last(path: Path, parts: int) -> str:
    return "/".join(path.resolve().parts[-parts:])


def _machine(run: RunData) -> str:
    info = run.phone.info
    if info:
        return f"{info.manufacturer} {info.model}, Android {info.android}"
    machine = run.description.machine
    return f"{machine.platform}, {machine.processor}"


def _of_result(name: str, show: Callable[[float], str]) -> Callable[[RunData], Cell | None]:
    def read(run: RunData) -> Cell | None:
        value = None if run.result is None else getattr(run.result, name)
        return None if value is None else Cell(show(value), RESULT_FILE)

    return read


def _of_setting(name: str) -> Callable[[RunData], Cell | None]:
    def read(run: RunData) -> Cell | None:
        value = run.description.settings.get(name)
        return None if value is None else Cell(str(value), RUN_FILE)

    return read


def _of_memory(kind: str) -> Callable[[RunData], Cell | None]:
    def read(run: RunData) -> Cell | None:
        peak = memory_peak(run, kind)
        return None if peak is None else Cell(f"{peak.value / 1e6:,.1f} MB", peak.place)

    return read


def _of_phone(name: str, unit: str, digits: int) -> Callable[[RunData], Cell | None]:
    def read(run: RunData) -> Cell | None:
        peak = run.phone.peak(name)
        return None if peak is None else Cell(f"{peak.value:,.{digits}f} {unit}", peak.place)

    return read


def _best(run: RunData) -> Cell | None:
    after = summarise(run).after
    return None if after is None else Cell(_percent(after.value), EVALUATIONS_FILE)


def _zero_shot(run: RunData) -> Cell | None:
    before = summarise(run).before
    return None if before is None else Cell(_percent(before.value))


def _energy_a_step(run: RunData) -> Cell | None:
    energy = run.phone.last("energy, J")
    if energy is None or not run.steps:
        return None
    return Cell(f"{energy.value / len(run.steps):,.2f} J", energy.place)


def _lines(run: RunData) -> Cell | None:
    found = run.phone.continuity
    return Cell(f"{found.lines:,}; {found.missing} missing, {found.doubled} doubled") if found.lines else None


def _percent(value: float) -> str:
    return f"{100 * value:.1f} %"


_MEASURES: tuple[tuple[str, Callable[[RunData], Cell | None]], ...] = (
    ("model", lambda run: Cell(run.description.model.source, RUN_FILE)),
    ("bundle", lambda run: Cell(Path(run.description.bundle).name, RUN_FILE)),
    ("task", lambda run: Cell(run.description.task.name, RUN_FILE)),
    ("machine", lambda run: Cell(_machine(run))),
    ("training rows", lambda run: Cell(f"{run.description.data.train.rows:,}", RUN_FILE)),
    ("estimator", _of_setting("estimator.kind")),
    ("optimizer", _of_setting("optimizer.kind")),
    ("batch size", _of_setting("batch_size")),
    ("steps", lambda run: Cell(f"{run.steps[-1].step:,}", STEPS_FILE) if run.steps else None),
    ("time", _of_result("seconds_total", short_duration)),
    ("probe, median", _of_result("probe_ms_median", lambda value: f"{value:,.0f} ms")),
    ("loss, start", _of_result("loss_start", lambda value: f"{value:.4f}")),
    ("loss, end", _of_result("loss_end", lambda value: f"{value:.4f}")),
    ("held-out accuracy, untouched", _zero_shot),
    ("held-out accuracy, kept", _best),
    *((f"most {kind}", _of_memory(kind)) for kind in MEMORY_KINDS),
    ("hottest skin", _of_phone("skin, \N{DEGREE SIGN}C", "\N{DEGREE SIGN}C", 1)),
    ("hottest battery", _of_phone("battery, \N{DEGREE SIGN}C", "\N{DEGREE SIGN}C", 1)),
    ("energy through the battery", _of_phone("energy, J", "J", 0)),
    ("energy a step", _energy_a_step),
    ("lines of the app", _lines),
)
