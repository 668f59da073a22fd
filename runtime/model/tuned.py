"""The model that a BUNDLE or a RUN folder stands for: a verified bundle and a state replayed from the journal."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from seedtune.runtime.bundle.manifest import MANIFEST
from seedtune.runtime.bundle.reader import Bundle
from seedtune.runtime.errors import SeedTuneError
from seedtune.runtime.journal.file import read_journal
from seedtune.runtime.journal.format import Header
from seedtune.runtime.loop.state import State
from seedtune.runtime.telemetry.records import EVALUATIONS_FILE, JOURNAL_FILE, RUN_FILE, EvaluationRecord
from seedtune.runtime.telemetry.run_files import read_description
from seedtune.runtime.telemetry.steplog import read_json_lines


@dataclass(frozen=True)
class Tuned:
    """``state`` after ``step`` steps of ``run`` (None and 0 for a bare bundle)."""

    bundle: Bundle
    state: State
    run: Path | None
    step: int


def open_tuned(path: Path, *, bundle: Path | None = None, step: int | None = None) -> Tuned:
    """Opens a BUNDLE (untouched model) or a RUN folder (its best state, replayed).

    Args:
        path: either folder.
        bundle: where the run's bundle is now, if it was moved.
        step: the state after that many steps instead of the best; for a RUN folder only.

    Raises:
        SeedTuneError: neither kind of folder, files damaged, bundle moved or exchanged, no such step.
    """
    if (path / MANIFEST).is_file():
        opened = Bundle.open(path)
        return Tuned(opened, _state(opened), None, 0)
    if not (path / RUN_FILE).is_file():
        raise SeedTuneError(
            "this is neither a bundle nor a run",
            file=path,
            rule=f"a folder with {MANIFEST} (a bundle) or {RUN_FILE} (a run)",
            remedy="give the folder that seedtune export or seedtune run wrote",
        )
    description = read_description(path)
    location = bundle or Path(description.bundle)
    if not location.is_dir():
        raise SeedTuneError(
            "the bundle of this run is not where it was",
            file=path,
            value=str(location),
            remedy="say where it is with --bundle",
        )
    opened = Bundle.open(location)
    if opened.sha256 != description.bundle_sha256:
        raise SeedTuneError(
            "the run was made with another bundle",
            file=location,
            value=opened.sha256,
            rule=f"manifest SHA-256 {description.bundle_sha256}",
            remedy="say where the run's bundle is with --bundle",
        )
    journal = read_journal(path / JOURNAL_FILE)
    expected = Header(
        description.settings.get("seed", 0),
        opened.manifest.state.parameters,
        description.bundle_sha256,
        description.settings,
    )
    if journal.header != expected:
        raise SeedTuneError(
            "the journal belongs to another run than run.json says",
            file=path / JOURNAL_FILE,
            rule="same seed, bundle and settings",
            remedy="restore the folder from a copy",
        )
    chosen = _best_step(path, len(journal)) if step is None else step
    if not 0 <= chosen <= len(journal):
        raise SeedTuneError(
            "the run has no such step",
            file=path,
            value=chosen,
            rule=f"0 to {len(journal)}",
            remedy="choose another",
        )
    state = _state(opened)
    state.apply(journal.seeds()[:chosen], journal.records["coefficient"][:chosen])
    return Tuned(opened, state, path, chosen)


def _state(bundle: Bundle) -> State:
    return State(bundle.session("update", 1), bundle.manifest.state.parameters)


def _best_step(path: Path, recorded: int) -> int:
    """The step with the best evaluation, or the last step of a run without evaluations."""
    file = path / EVALUATIONS_FILE
    records = read_json_lines(file, EvaluationRecord) if file.is_file() else []
    best = [record.step for record in records if record.best and record.step <= recorded]
    return best[-1] if best else recorded
