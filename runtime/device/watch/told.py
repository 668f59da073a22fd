"""From the lines of a run to events: the same that a run made here yields, each once."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TypeVar

import msgspec

from seedtune.runtime.device.adb.text import plain
from seedtune.runtime.device.files.mirror import Lines
from seedtune.runtime.telemetry.events import Evaluated, Event, Notice, Prepared, Step
from seedtune.runtime.telemetry.phone.records import SEGMENT, AppLine
from seedtune.runtime.telemetry.phone.sequence import Continuity, Sequence
from seedtune.runtime.telemetry.records import EVALUATIONS_FILE, RUN_FILE, STEPS_FILE, EvaluationRecord, StepRecord
from seedtune.runtime.telemetry.run_files import read_description

Record = TypeVar("Record")


class Told:
    """What the files of a RUN folder that grows have told so far.

    Args:
        folder: the folder here.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._prepared = False
        self._last_step = self._last_evaluation = -1
        self._lines = {name: Lines(folder / name) for name in (STEPS_FILE, EVALUATIONS_FILE)}
        self._segments: dict[str, Lines] = {}
        self._sequence: Sequence | None = None

    @property
    def last_step(self) -> int:
        """The newest step that was told; -1 before the first."""
        return self._last_step

    @property
    def continuity(self) -> Continuity:
        """What the app's own lines come to."""
        return (self._sequence or Sequence()).so_far

    def rewritten(self, name: str) -> None:
        """The file ``name`` is another now: its lines are read again, and what was told is not told twice."""
        if name in self._lines:
            self._lines[name].restart()

    def fresh(self) -> Iterator[Event]:
        """Events of what is new in the files."""
        if not self._prepared and (self.folder / RUN_FILE).is_file():
            description = read_description(self.folder)
            self._prepared = True
            yield Prepared(settings=description.settings, steps=int(description.settings.get("steps", 0)))
        if not self._prepared:
            return
        yield from self._steps()
        yield from self._evaluations()
        yield from self._telemetry()

    def _steps(self) -> Iterator[Event]:
        for record, notice in self._decoded(self._lines[STEPS_FILE], StepRecord):
            if record is None:
                yield notice
                continue
            expected = max(self._last_step, 0) + 1
            if record.step > expected:
                yield Notice(f"{STEPS_FILE} lacks steps {expected} to {record.step - 1}")
            # A step that is made again after a restart of the phone is the same step.
            if record.step >= expected:
                self._last_step = record.step
                yield Step(record)

    def _evaluations(self) -> Iterator[Event]:
        for record, notice in self._decoded(self._lines[EVALUATIONS_FILE], EvaluationRecord):
            if record is None:
                yield notice
            elif record.step > self._last_evaluation:
                self._last_evaluation = record.step
                yield Evaluated(record)

    def _telemetry(self) -> Iterator[Event]:
        for path in sorted(self.folder.glob("telemetry-*.jsonl")):
            if not SEGMENT.fullmatch(path.name):
                continue
            if path.name not in self._segments:
                self._segments[path.name] = Lines(path)
            if self._sequence is None:
                # The phone may have given the first files to somebody else.
                self._sequence = Sequence(begun_before=path.name != "telemetry-000001.jsonl")
            for record, notice in self._decoded(self._segments[path.name], AppLine):
                if record is None:
                    yield notice
                    continue
                gap = self._sequence.see(record.sequence)
                if gap:
                    yield Notice(f"{path.name}: lines {gap.first} to {gap.last} of process {gap.process} are missing")
                if record.lines_dropped:
                    yield Notice(f"{path.name}: the phone had no room for {record.lines_dropped} lines before this one")

    def _decoded(self, lines: Lines, kind: type[Record]) -> Iterator[tuple[Record | None, Notice]]:
        for number, line in lines.fresh():
            try:
                yield msgspec.json.decode(line.decode("utf-8"), type=kind), Notice("")
            except (ValueError, RecursionError) as error:
                said = plain(str(error))[:200]
                yield None, Notice(f"{lines.path.name}:{number} is no {kind.__name__}, and is left out ({said})")
