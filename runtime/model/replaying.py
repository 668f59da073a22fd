"""A state back from its journal alone, whether that lies in a RUN folder or came by itself."""

from __future__ import annotations

from pathlib import Path

from seedtune.runtime.bundle.reader import Bundle
from seedtune.runtime.errors import SeedTuneError
from seedtune.runtime.journal.file import read_journal
from seedtune.runtime.journal.format import Journal
from seedtune.runtime.model.best_step import best_step
from seedtune.runtime.model.tuned import Tuned, open_tuned
from seedtune.runtime.start.file import read_start
from seedtune.runtime.telemetry.records import JOURNAL_FILE, RUN_FILE, START_FILE


def journal_path(path: Path) -> Path:
    """The journal that ``path`` means: of a RUN folder, or a file.

    Raises:
        SeedTuneError: it is neither.
    """
    found = path / JOURNAL_FILE if path.is_dir() else path
    if not found.is_file():
        raise SeedTuneError(
            "there is no journal",
            file=path,
            rule=f"a RUN folder, which holds {JOURNAL_FILE}, or a journal",
            remedy="check the path",
        )
    return found


def open_recorded(path: Path, bundle: Path | None, until: int | None = None) -> Tuned:
    """What a journal makes of its bundle.

    Args:
        path: a RUN folder (its best state, unless told ``until`` when) or a journal (all of its steps). A journal whose
            state does not start from zero has its start beside it.
        bundle: where the bundle is; a RUN folder says it itself.
        until: so many steps.

    Raises:
        SeedTuneError: a file is missing or damaged, the bundle is another one, there are fewer steps, or the journal
            only proves its states.
    """
    if (path / RUN_FILE).is_file():
        return open_tuned(path, bundle=bundle, step=until)
    found = journal_path(path)
    if bundle is None:
        raise SeedTuneError(
            "a journal alone does not say where its bundle is",
            file=found,
            rule="the bundle that it was written over",
            remedy="name it with --bundle",
        )
    return recorded(found, Bundle.open(bundle), until)


def recorded(path: Path, bundle: Bundle, until: int | None = None) -> Tuned:
    """The journal at ``path`` over ``bundle``; arguments and errors as of :func:`open_recorded`."""
    journal = read_journal(path)
    require_bundle(journal, bundle, path)
    header = journal.header
    if header.record != "probe":
        raise SeedTuneError(
            "a journal of gradients proves a state, but cannot make it again",
            file=path,
            value=header.record,
            rule="a journal of probes, or the RUN folder, which keeps its latest and its best state",
            remedy="give the RUN folder",
        )
    steps = journal.steps if until is None else until
    if not 0 <= steps <= journal.steps:
        raise SeedTuneError(
            "the journal has no such step",
            file=path,
            value=steps,
            rule=f"0 to {journal.steps}",
            remedy="choose another",
        )
    start = None
    if header.start_sha256 is not None:
        start = read_start(path.parent / START_FILE, header.start_sha256, bundle.manifest.state.head)
    return Tuned(bundle, journal, steps, None, start)


def require_bundle(journal: Journal, bundle: Bundle, path: Path) -> None:
    """Raises SeedTuneError unless ``journal``, read from ``path``, was written over ``bundle``."""
    header, parameters = journal.header, bundle.manifest.state.parameters
    if header.bundle_sha256 != bundle.sha256:
        raise SeedTuneError(
            "the journal was written over another bundle",
            file=path,
            value=f"manifest SHA-256 {header.bundle_sha256}",
            rule=f"{bundle.sha256}, that of {bundle.path}",
            remedy="give the bundle that it was written over",
        )
    if header.state_parameters != parameters or header.groups != 1:
        raise SeedTuneError(
            "the journal is not of this bundle's state",
            file=path,
            value=f"{header.groups} states of {header.state_parameters:,} parameters",
            rule=f"one of {parameters:,}",
            remedy="restore the journal from a copy",
        )


def kept_steps(path: Path, journal: Journal) -> int:
    """How many steps of a journal its RUN folder stands for: up to the best one; all of a journal by itself."""
    found = best_step(path, journal.steps) if (path / RUN_FILE).is_file() else journal.steps
    return found or 0
