"""The RUN folder: who may write it, and where each file is. See `telemetry.records` for the files."""

from __future__ import annotations

import contextlib
from pathlib import Path
from types import TracebackType

import msgspec
from filelock import FileLock, Timeout

from seedtune.runtime.errors import SeedTuneError
from seedtune.runtime.files import require_utf8, write_durably
from seedtune.runtime.run.settings import Settings, settings_of
from seedtune.runtime.telemetry.features import EMBEDDINGS_FILE, FEATURES_FILE
from seedtune.runtime.telemetry.gain import HELD_OUT_LOSSES_FILE
from seedtune.runtime.telemetry.records import (
    EVALUATIONS_FILE,
    JOURNAL_FILE,
    PREDICTIONS_BEST_FILE,
    PREDICTIONS_START_FILE,
    RESULT_FILE,
    RUN_FILE,
    START_FILE,
    STEPS_FILE,
    ZERO_SHOT_FILE,
    RunDescription,
    RunResult,
)
from seedtune.runtime.telemetry.trials import TRIALS_FILE, Trials

LOCK_FILE = ".lock"
CONTEXTS_FOLDER = "contexts"
# How long a folder may seem held by a process that was killed a moment ago: one that it was starting has copies of its
# open files until it has loaded its program. One of 1,000 kills was followed by such a refusal, while a run still
# started one (telemetry/this_machine.py). The length is a guess, for whatever else may start one.
LINGERING_SECONDS = 2.0
# How the name of a file ends that is being written; see `files.write_durably`.
PARTIAL = ".partial"


class RunFolder:
    """A RUN folder held by this process; a context manager.

    Leaving it takes the lock's file along, and the folder too if it holds nothing: a run that was refused leaves no
    trace.

    Args:
        path: of the folder.
        resume: go on with the run that it holds.
        may_start: begin one where ``resume`` finds none, so that a supervisor may say the same at each start.

    Raises on entering:
        SeedTuneError: another run holds the folder, it cannot be made, or it holds something that is not expected.
    """

    def __init__(self, path: Path, *, resume: bool, may_start: bool = False) -> None:
        self.path = path
        self._asked_to_resume = resume
        self._may_start = may_start
        self._made = False
        self._lock: FileLock | None = None

    @property
    def resumes(self) -> bool:
        """Whether the folder holds a run, and that is what is to go on."""
        return self._asked_to_resume and self._has_run()

    journal = property(lambda self: self.path / JOURNAL_FILE)
    start = property(lambda self: self.path / START_FILE)
    zero_shot = property(lambda self: self.path / ZERO_SHOT_FILE)
    trials = property(lambda self: self.path / TRIALS_FILE)
    held_out_losses = property(lambda self: self.path / HELD_OUT_LOSSES_FILE)
    steps = property(lambda self: self.path / STEPS_FILE)
    features = property(lambda self: self.path / FEATURES_FILE)
    embeddings = property(lambda self: self.path / EMBEDDINGS_FILE)
    evaluations = property(lambda self: self.path / EVALUATIONS_FILE)
    predictions_start = property(lambda self: self.path / PREDICTIONS_START_FILE)
    predictions_best = property(lambda self: self.path / PREDICTIONS_BEST_FILE)
    contexts = property(lambda self: self.path / CONTEXTS_FOLDER)

    def __enter__(self) -> RunFolder:
        self.check()
        try:
            self._made = not self.path.exists()
            self.path.mkdir(parents=True, exist_ok=True)
            lock = FileLock(self.path / LOCK_FILE)
            lock.acquire(timeout=LINGERING_SECONDS)
            self._lock = lock
        except Timeout as error:
            raise SeedTuneError(
                "another run is writing this folder",
                file=self.path,
                rule="one run at a time",
                remedy="wait for it, or give another --out",
            ) from error
        except OSError as error:
            raise SeedTuneError(
                f"the folder cannot be written ({error.strerror})",
                file=self.path,
                remedy="free disk space, or give another --out",
            ) from error
        try:
            # Again, now that nobody else writes: another run may have begun and ended in between.
            self.check()
        except SeedTuneError:
            self._leave()
            raise
        for path in self.path.glob(f".*{PARTIAL}"):
            path.unlink(missing_ok=True)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._leave()

    def _leave(self) -> None:
        if self._lock is None:
            return
        # While it is held: whoever waits for this very file then finds that it is no file any more, and asks again.
        with contextlib.suppress(OSError):
            (self.path / LOCK_FILE).unlink(missing_ok=True)
        self._lock.release()
        if self._made:
            with contextlib.suppress(OSError):
                self.path.rmdir()

    def _has_run(self) -> bool:
        # Trials come before the journal, and a run that was stopped in them goes on with them.
        return (self.path / RUN_FILE).is_file() and (self.journal.is_file() or self.trials.is_file())

    def check(self) -> None:
        """Raises SeedTuneError as entering does, as far as that can be told without making anything."""
        # run.json and result.json name its files.
        require_utf8(self.path)
        has_run = self._has_run()
        if self._asked_to_resume and not has_run and not self._may_start:
            raise SeedTuneError(
                "there is no run to resume in this folder",
                file=self.path,
                rule=f"a folder with {RUN_FILE} and {JOURNAL_FILE}",
                remedy="add --train to start one",
            )
        if self.path.exists() and not self.path.is_dir():
            raise SeedTuneError("this is a file, not a folder", file=self.path, remedy="give another --out")
        names = {entry.name for entry in self.path.iterdir()} if self.path.is_dir() else set()
        # What a kill left of a file that was being written.
        names = {name for name in names if not (name.startswith(".") and name.endswith(PARTIAL))}
        # A run that was killed before its journal began has left no more than its description, and a part of its cache.
        leftovers = {LOCK_FILE} if has_run else {LOCK_FILE, RUN_FILE, START_FILE, CONTEXTS_FOLDER}
        if not self.resumes and names - leftovers:
            raise SeedTuneError(
                "the folder already holds a run" if has_run else "the folder is not empty",
                file=self.path,
                rule="a new or empty folder for a new run",
                remedy="go on with --resume, or give another --out" if has_run else "give another --out",
            )

    def write_description(self, description: RunDescription) -> None:
        """Writes run.json."""
        write_durably(self.path / RUN_FILE, _pretty(description))

    def write_trials(self, trials: Trials) -> None:
        """Writes trials.json."""
        write_durably(self.trials, _pretty(trials))

    def write_result(self, result: RunResult) -> None:
        """Writes result.json."""
        write_durably(self.path / RESULT_FILE, _pretty(result))


def recorded_settings(description: RunDescription, path: Path) -> Settings:
    """The settings that the run in folder ``path`` was begun with.

    Raises:
        SeedTuneError: they are not settings of this version.
    """
    try:
        return settings_of(description.settings)
    except SeedTuneError as error:
        raise error.at(path / RUN_FILE) from error


def _pretty(record: msgspec.Struct) -> bytes:
    return msgspec.json.format(msgspec.json.encode(record), indent=2) + b"\n"
