"""Whether what is to be resumed is the run that was begun, and where it stands."""

from __future__ import annotations

from pathlib import Path

import msgspec

from seedtune.runtime.bundle.reader import Bundle
from seedtune.runtime.errors import SeedTuneError
from seedtune.runtime.files import write_durably
from seedtune.runtime.journal.file import JournalWriter
from seedtune.runtime.model.tuned import journal_of
from seedtune.runtime.run.folder import RunFolder
from seedtune.runtime.run.listeners.outcome import Outcome
from seedtune.runtime.run.methods.protocol import Method
from seedtune.runtime.run.settings import Settings
from seedtune.runtime.telemetry.records import DataInfo, RunDescription, StepRecord
from seedtune.runtime.telemetry.steplog import read_json_lines


def require_same_run(
    description: RunDescription,
    bundle: Bundle,
    settings: Settings | None,
    data: DataInfo,
    folder: Path,
) -> None:
    """Raises SeedTuneError when a resumed run would not be the run that was begun."""
    held_out = data.eval
    # Before its first step a run has none that would stay.
    own = settings.as_dict() if settings else {}
    recorded_eval = description.data.eval
    pairs: list[tuple[str, object, object]] = [
        ("bundle", description.bundle_sha256, bundle.sha256),
        ("training data", description.data.train.sha256, data.train.sha256),
        ("evaluation data", recorded_eval and recorded_eval.sha256, held_out and held_out.sha256),
        ("number of held-out training rows", description.data.split_off, data.split_off),
        *((f"setting {name}", description.settings.get(name), value) for name, value in own.items()),
    ]
    for name, recorded, given in pairs:
        if recorded != given:
            raise SeedTuneError(
                f"this run was begun with another {name}",
                file=folder,
                value=given,
                rule=f"the same as at the start: {recorded!r}",
                remedy="resume with what it was begun with (leave the option out), or start a new run",
            )


def resume_journal(
    folder: RunFolder, description: RunDescription, bundle: Bundle, method: Method
) -> tuple[JournalWriter, int, Outcome]:
    """The journal to append to, the steps already made, and what they came to; the state of ``method`` has them.

    Raises:
        SeedTuneError: the journal is damaged, belongs to another run, or was not written by these settings.
    """
    journal = method.catch_up(journal_of(folder.path, description, bundle), folder.path)
    # The step log is telemetry: a run can be resumed without it.
    logged = read_json_lines(folder.steps, StepRecord) if folder.steps.exists() else []
    made = [record for record in logged if record.step <= journal.steps]
    if len(made) < len(logged):
        # These steps will be made again.
        write_durably(folder.steps, b"".join(msgspec.json.encode(record) + b"\n" for record in made))
    return JournalWriter.resume(folder.journal, journal), journal.steps, Outcome(made)
