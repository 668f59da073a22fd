"""The model that a BUNDLE or a RUN folder stands for: a verified bundle and a state replayed from the journal."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from seedtune.runtime.bundle.manifest import MANIFEST
from seedtune.runtime.bundle.reader import Bundle
from seedtune.runtime.errors import SeedTuneError
from seedtune.runtime.estimators.settings import estimator_of
from seedtune.runtime.graphs.session import open_session
from seedtune.runtime.graphs.state import State
from seedtune.runtime.journal.file import read_journal
from seedtune.runtime.journal.format import Header, Journal
from seedtune.runtime.model.best_step import best_step
from seedtune.runtime.model.kept_states import KeptStates
from seedtune.runtime.model.state_file import read_state
from seedtune.runtime.optimizers.settings import optimizer_of
from seedtune.runtime.start.file import read_start
from seedtune.runtime.telemetry.records import (
    JOURNAL_FILE,
    RUN_FILE,
    START_FILE,
    RunDescription,
)
from seedtune.runtime.telemetry.run_files import read_description
from seedtune.runtime.telemetry.trials import TRIALS_FILE


@dataclass(frozen=True)
class Tuned:
    """What a folder stands for: ``journal`` of ``run`` up to ``step`` over ``bundle``; a bare bundle has neither.

    ``start`` is what the head of the state began with; None for a state that began, or is, that of the untouched model.
    ``given`` is a state that came as a file, for a bare bundle.
    """

    bundle: Bundle
    journal: Journal | None = None
    step: int = 0
    run: Path | None = None
    start: npt.NDArray[np.float32] | None = None
    given: npt.NDArray[np.float32] | None = None

    @property
    def untouched(self) -> bool:
        """Whether the state is zero."""
        return self.step == 0 and self.start is None and self.given is None

    @functools.cached_property
    def state(self) -> State:
        """The state, replayed when it is first asked for, or read where a journal cannot be replayed."""
        if self.given is not None:
            state = new_state(self.bundle)
            state.values[:] = self.given
            return state
        if self.journal is None or (self.untouched and self.journal.header.start_sha256 is not None):
            return new_state(self.bundle)
        if self.journal.header.record == "probe":
            return replayed(self.bundle, self.journal, self.step, self.start)
        state = new_state(self.bundle, self.start)
        if not self.step:
            return state
        assert self.run is not None
        state.values[:], *_ = KeptStates(self.run, len(state.values)).read(self.step, self.journal)
        return state


def open_tuned(path: Path, *, bundle: Path | None = None, step: int | None = None, state: Path | None = None) -> Tuned:
    """Opens a BUNDLE (untouched model) or a RUN folder (its best state).

    Args:
        path: either folder.
        bundle: where the run's bundle is now, if it was moved.
        step: the state after that many steps instead of the best; for a RUN folder only.
        state: a file with the state, as `seedtune replay` writes it; for a bundle only.

    Raises:
        SeedTuneError: neither kind of folder, files damaged, bundle moved or exchanged, no such step.
    """
    if (path / MANIFEST).is_file():
        if step:
            raise SeedTuneError(
                "a bundle has no steps",
                file=path,
                value=step,
                rule="a RUN folder",
                remedy="give the run, or leave the step out",
            )
        whole = Bundle.open(path)
        if state is None:
            return Tuned(whole)
        given, made_of = read_state(state, whole)
        return Tuned(whole, step=made_of.steps, given=given)
    if state is not None:
        raise SeedTuneError(
            "a run has states of its own",
            file=path,
            value=str(state),
            rule="a state file beside a bundle",
            remedy="give the bundle, or leave the state out",
        )
    if not (path / RUN_FILE).is_file():
        raise SeedTuneError(
            "this is neither a bundle nor a run",
            file=path,
            rule=f"a folder with {MANIFEST} (a bundle) or {RUN_FILE} (a run)",
            remedy="give the folder that seedtune export or seedtune run wrote",
        )
    description = read_description(path)
    if (path / TRIALS_FILE).is_file() and not (path / JOURNAL_FILE).exists():
        raise SeedTuneError(
            "the run was stopped in its trials, before its first step",
            file=path,
            rule=f"a folder with {JOURNAL_FILE}",
            remedy="go on with seedtune run BUNDLE --out RUN --resume",
        )
    opened = _bundle_of(path, description, bundle)
    journal = journal_of(path, description, opened)
    start = start_of(path, description, opened)
    last = journal.steps
    if journal.header.record == "gradient":
        last = max((kept for kept in KeptStates(path, 0).steps() if kept <= last), default=0)
    chosen = best_step(path, last) if step is None else step
    if chosen is None:
        return Tuned(opened, journal, 0, path)
    if not 0 <= chosen <= journal.steps:
        raise SeedTuneError(
            "the run has no such step",
            file=path,
            value=chosen,
            rule=f"0 to {journal.steps}",
            remedy="choose another",
        )
    return Tuned(opened, journal, chosen, path, start)


def _bundle_of(path: Path, description: RunDescription, moved_to: Path | None) -> Bundle:
    location = moved_to or Path(description.bundle)
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
    return opened


def journal_of(path: Path, description: RunDescription, bundle: Bundle) -> Journal:
    """The journal of the RUN folder ``path``, which is that of the run that ``description`` tells of.

    Raises:
        SeedTuneError: it is damaged, or belongs to another run.
    """
    journal = read_journal(path / JOURNAL_FILE)
    try:
        header = header_of(description.settings, bundle, description.start_sha256)
    except SeedTuneError as error:
        raise error.at(path / RUN_FILE) from error
    if journal.header != header:
        raise SeedTuneError(
            "the journal belongs to another run than run.json says",
            file=path / JOURNAL_FILE,
            rule="same seed, bundle, start and settings",
            remedy="restore the folder from a copy, or start a new run",
        )
    return journal


def start_of(path: Path, description: RunDescription, bundle: Bundle) -> npt.NDArray[np.float32] | None:
    """What the head of the run in the folder ``path`` started from; None for zero.

    Raises:
        SeedTuneError: the file that keeps it is missing or altered.
    """
    if description.start_sha256 is None:
        return None
    return read_start(path / START_FILE, description.start_sha256, bundle.manifest.state.head)


def header_of(settings: dict[str, int | float | str], bundle: Bundle, start_sha256: str | None = None) -> Header:
    """The header of the journal of a run with ``settings`` (flat, as in run.json), from the start with this SHA-256.

    Raises:
        SeedTuneError: they have no seed, or name an estimator that this version does not know.
    """
    seed = settings.get("seed", 0)
    if type(seed) is not int:
        raise SeedTuneError(
            "the settings have no seed", value=seed, rule="a whole number", remedy="restore the file from a copy"
        )
    estimator = estimator_of(settings)
    return Header(
        run_seed=seed,
        state_parameters=bundle.manifest.state.parameters,
        groups=1,
        records_per_step=estimator.probes,
        bundle_sha256=bundle.sha256,
        settings=dict(settings),
        record=estimator.record,
        start_sha256=start_sha256,
    )


def new_state(bundle: Bundle, start: npt.NDArray[np.float32] | None = None) -> State:
    """The state of the untouched model, its head as ``start`` has it if there is one."""
    layout = bundle.manifest.state
    state = State(open_session(bundle.graph_path("update"), 1), layout.parameters)
    if start is not None:
        assert layout.head is not None
        state.put(layout.head.offset, start)
    return state


def replayed(
    bundle: Bundle, journal: Journal, steps: int | None = None, start: npt.NDArray[np.float32] | None = None
) -> State:
    """The state after ``steps`` steps of ``journal`` from ``start``; None for all of them.

    Raises:
        ValueError: the journal needs a start, or has none.
        SeedTuneError: the journal was written with an optimizer that this version does not know.
    """
    if (start is None) != (journal.header.start_sha256 is None):
        raise ValueError("a journal is replayed from the start that its header names")
    state = new_state(bundle, start)
    records = (journal.steps if steps is None else steps) * journal.header.records_per_step
    optimizer = optimizer_of(journal.header.settings)
    optimizer.move(state, journal.seeds()[:records], journal.records["coefficient"][:records])
    return optimizer.evaluated(state)
