"""Kills a run over and over, lets it go on with the same command each time, and compares its end with a whole run's."""

from __future__ import annotations

import json
import random
import shutil
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from lab.soak.child import Instant, finish, kill_at, start
from lab.soak.phases import CACHING, MEASURING, NAMES, STEPPING, Marks
from seedtune.runtime.errors import SeedTuneError
from seedtune.runtime.journal.file import read_journal
from seedtune.runtime.telemetry.records import (
    EVALUATIONS_FILE,
    JOURNAL_FILE,
    PREDICTIONS_BEST_FILE,
    PREDICTIONS_START_FILE,
    RESULT_FILE,
    RUN_FILE,
    START_FILE,
    STEPS_FILE,
)

# How often a part is chosen beside others: those that a run is only once in, or is cut into by evaluations, more often.
WEIGHTS = {CACHING: 2, MEASURING: 2, STEPPING: 4}
# Of a run that is killed; then it may end, so that the next one begins with nothing.
MOST_KILLS_OF_A_RUN = 4
TO_THE_BYTE = (JOURNAL_FILE, START_FILE, PREDICTIONS_START_FILE, PREDICTIONS_BEST_FILE)
# Of result.json and the logs: time and memory are another run's.
OF_RESULT = ("steps", "state_sha256", "best_step", "loss_end", "accuracy_end", "interrupted")
OF_EVALUATION, OF_STEP = ("step", "loss", "accuracy", "best"), ("step", "loss_plus", "loss_minus", "coefficient")


@dataclass
class Counts:
    """What kills in one part of a run came to.

    Attributes:
        kills: there.
        before_run_json: those of them at which nothing but a cache was there yet.
        lost: steps that were on the disk and are not, beyond the one in flight.
    """

    kills: int = 0
    before_run_json: int = 0
    lost: int = 0


@dataclass
class Soak:
    """Kills of one kind of run.

    Attributes:
        command: of ``seedtune run``, without its folder.
        folder: for everything that is made.
        seed: of the instants.
        counts: a part -> what kills there came to.
        runs: that were killed, and then ended.
        stuck: what runs said that did not go on.
        different: what of a run is not as in the whole one.
    """

    command: Sequence[object]
    folder: Path
    seed: int = 0
    counts: dict[int, Counts] = field(default_factory=lambda: {part: Counts() for part in range(len(NAMES))})
    runs: int = 0
    stuck: list[str] = field(default_factory=list)
    different: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._random = random.Random(self.seed)
        self._marks = Marks()
        self.folder.mkdir(parents=True, exist_ok=True)
        self._log = self.folder / "log.txt"
        self._whole = self.folder / "whole"
        shutil.rmtree(self._whole, ignore_errors=True)
        code = finish(self._begin(self._whole))
        if code:
            raise SeedTuneError("the run that is to be killed does not end by itself", value=self._log.read_text())
        self._entries = [self._marks.entries(part) for part in range(len(NAMES))]
        self._seconds = [self._marks.seconds(part) for part in range(len(NAMES))]

    @property
    def kills(self) -> int:
        """How many so far."""
        return sum(each.kills for each in self.counts.values())

    @property
    def lost(self) -> int:
        """Steps that were on the disk and are not."""
        return sum(each.lost for each in self.counts.values())

    @property
    def runs_stuck(self) -> int:
        """Runs that did not go on."""
        return len(self.stuck)

    @property
    def runs_changed(self) -> int:
        """Runs that came to something else."""
        return len({text.split(":")[0] for text in self.different})

    def kill(self, times: int) -> None:
        """Kills so many times more."""
        wanted = self.kills + times
        while self.kills < wanted:
            out = self.folder / f"run-{self.runs}"
            for _ in range(min(self._random.randint(1, MOST_KILLS_OF_A_RUN), wanted - self.kills)):
                if self._killed_once(out):
                    break
            else:
                self._end(finish(self._begin(out)), out)
            self.runs += 1

    def _begin(self, out: Path) -> int:
        return start([*self.command, "--out", out, "--resume", "--json"], self._log, self._marks)

    def _instant(self) -> Instant:
        """A random one in a random part of the run."""
        parts = [part for part, entries in enumerate(self._entries) if entries]
        (part,) = self._random.choices(parts, [WEIGHTS.get(part, 1) for part in parts])
        entry = self._random.randint(1, self._entries[part])
        return Instant(part, entry, self._random.random() * self._seconds[part] / self._entries[part])

    def _killed_once(self, out: Path) -> bool:
        """Lets the run go on and kills it; True if it came to its end before, which is looked at."""
        code = kill_at(self._begin(out), self._instant(), self._marks)
        if code is not None:
            self._end(code, out)
            return True
        counts = self.counts[self._marks.part]
        counts.kills += 1
        counts.before_run_json += not (out / RUN_FILE).exists()
        if self._marks.steps:
            counts.lost += max(0, self._marks.steps - read_journal(out / JOURNAL_FILE).steps)
        return False

    def _end(self, code: int, out: Path) -> None:
        if code:
            self.stuck.append(f"{out.name}: exit code {code}: {self._log.read_text()[-500:]}")
            return
        self.different += [f"{out.name}: {name}" for name in differences(self._whole, out)]
        shutil.rmtree(out)

    def figures(self) -> dict[str, object]:
        """What it came to, as numbers."""
        return {
            "kills": self.kills,
            "runs": self.runs,
            "stuck": self.runs_stuck,
            "changed": self.runs_changed,
            "lost_steps": self.lost,
            "by_phase": {NAMES[part]: each.kills for part, each in self.counts.items()},
            "before_run_json": sum(each.before_run_json for each in self.counts.values()),
        }


def differences(whole: Path, cut: Path) -> list[str]:
    """The names of what is not the same in two RUN folders, as far as kills may not change it."""
    found = [name for name in TO_THE_BYTE if _bytes(whole / name) != _bytes(cut / name)]
    one, other = (json.loads((run / RESULT_FILE).read_text()) for run in (whole, cut))
    found += [f"{RESULT_FILE}: {name}" for name in OF_RESULT if one.get(name) != other.get(name)]
    evaluations = [_lines(run / EVALUATIONS_FILE, OF_EVALUATION) for run in (whole, cut)]
    found += [EVALUATIONS_FILE] if evaluations[0] != evaluations[1] else []
    # The line of a step in flight may be missing, which is telemetry; none stands there twice, or otherwise.
    every, left = (_lines(run / STEPS_FILE, OF_STEP) for run in (whole, cut))
    found += [STEPS_FILE] if [line for line in every if line in left] != left else []
    return found + [path.name for path in cut.iterdir() if path.name.endswith(".partial")]


def _lines(path: Path, fields: Sequence[str]) -> list[list[object]]:
    lines = path.read_text().splitlines() if path.exists() else []
    return [[json.loads(line).get(each) for each in fields] for line in lines]


def _bytes(path: Path) -> bytes | None:
    return path.read_bytes() if path.exists() else None
