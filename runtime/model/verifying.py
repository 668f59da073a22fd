"""Whether a journal holds: its checksums, that it belongs to its bundle, that a replay gives what a run has told."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from seedtune.runtime.errors import SeedTuneError
from seedtune.runtime.journal.file import read_journal
from seedtune.runtime.model.replaying import journal_path, open_recorded
from seedtune.runtime.telemetry.records import RESULT_FILE, RUN_FILE, RunResult
from seedtune.runtime.telemetry.run_files import read_json


@dataclass(frozen=True)
class Verified:
    """What was found to hold.

    Attributes:
        path: of the journal.
        steps: in it.
        checked: what was looked at, a line each.
        state_sha256: of the state after the last step; None where no bundle was at hand, or the state was not kept.
    """

    path: Path
    steps: int
    checked: tuple[str, ...]
    state_sha256: str | None = None


def verify(source: Path, bundle: Path | None) -> Verified:
    """Checks the journal of the RUN folder or file ``source``; replays it where a bundle is at hand.

    Raises:
        SeedTuneError: a checksum does not follow, the bundle is another one, or the replayed state is not the one that
            the run told at its end.
    """
    path = journal_path(source)
    journal = read_journal(path)
    checked = [f"{journal.steps} steps, every checksum follows from the one before"]
    if journal.torn_bytes:
        checked.append(f"{journal.torn_bytes} bytes of a step that was cut short; resuming drops them")
    is_run = (source / RUN_FILE).is_file()
    if bundle is None and not is_run:
        return Verified(path, journal.steps, tuple(checked))
    tuned = open_recorded(source, bundle, journal.steps)
    checked.append(f"written over the bundle {tuned.bundle.path}")
    sha256 = tuned.state.sha256()
    checked.append(f"state after the last step: {sha256}")
    if is_run and (source / RESULT_FILE).is_file():
        result = read_json(source / RESULT_FILE, RunResult)
        if result.steps == journal.steps and result.state_sha256 != sha256:
            raise SeedTuneError(
                "the journal gives another state than the run told at its end",
                file=path,
                value=sha256,
                rule=f"{result.state_sha256}, as {RESULT_FILE} says",
                remedy="restore the folder from a copy",
            )
        checked.append(
            f"as {RESULT_FILE} says" if result.steps == journal.steps else f"{RESULT_FILE} is of an earlier end"
        )
    return Verified(path, journal.steps, tuple(checked), sha256)
