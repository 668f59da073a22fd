"""Follows a run on the phone to its end, whatever happens to the cable, the phone or this process in between."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Iterator, Mapping
from dataclasses import dataclass

from seedtune.runtime.device.adb.protocol import DisconnectedError
from seedtune.runtime.device.adb.refusals import given_up
from seedtune.runtime.device.app.access import Access
from seedtune.runtime.device.app.names import RUNS
from seedtune.runtime.device.files.mirror import Mirror, Taken
from seedtune.runtime.device.files.names import require_plain
from seedtune.runtime.device.watch.outside import OutsideLog
from seedtune.runtime.device.watch.poll import GarbledError, Look, look
from seedtune.runtime.device.watch.process import Process
from seedtune.runtime.device.watch.told import Told
from seedtune.runtime.errors import SeedTuneError
from seedtune.runtime.telemetry.events import Event, Finished, Notice
from seedtune.runtime.telemetry.phone.sequence import Continuity
from seedtune.runtime.telemetry.records import (
    EVALUATIONS_FILE,
    RESULT_FILE,
    RUN_FILE,
    STEPS_FILE,
    ZERO_SHOT_FILE,
    RunResult,
)
from seedtune.runtime.telemetry.run_files import read_json

FILES = (RUN_FILE, STEPS_FILE, EVALUATIONS_FILE, ZERO_SHOT_FILE)
# The app drops lines when sixteen segments lie unread (SegmentedLog.kt); from so many on, read ones are deleted there.
KEPT_SEGMENTS = 8
GARBLED_IN_A_ROW = 5
LONGEST_WAIT_SECONDS = 5.0


@dataclass(frozen=True)
class Pace:
    """How often the phone is asked, and how long is waited for it, in seconds.

    ``interval`` lies between two shell calls; ``away`` is how long a phone may be out of reach, ``gone`` how long the
    app may be without a process before the run counts as ended.
    """

    interval: float = 1.0
    away: float = 3600.0
    gone: float = 600.0
    start: float = 60.0


class Follower:
    """Yields the events of a run on the phone, and keeps its files here.

    Args:
        access: the app's folder.
        run: the run's name on the phone.
        mirror: where its files are kept here.
        before: result.json on the phone before the run was started or went on; it is not its end.
        log_before: the app's error lines then, see :func:`seedtune.runtime.device.watch.process.read_log`.
        pace: see :class:`Pace`.
        sample_every_seconds: source -> seconds, see :mod:`seedtune.runtime.device.watch.outside`.
    """

    def __init__(
        self,
        access: Access,
        run: str,
        mirror: Mirror,
        *,
        before: bytes | None = None,
        log_before: str | None = None,
        pace: Pace | None = None,
        sample_every_seconds: Mapping[str, float] | None = None,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._access, self._run, self._mirror = access, require_plain(run), mirror
        self._before = before
        self._pace = pace or Pace()
        self._clock, self._sleep = clock, sleep
        self._told = Told(mirror.folder)
        self._process = Process(run, self._pace.gone, self._pace.start, clock, log_before)
        self._every = sample_every_seconds
        self._segments: list[str] = []
        self._verified: dict[str, str] = {}
        self._garbled = 0
        self.looks = 0

    @property
    def continuity(self) -> Continuity:
        """What the app's own lines came to so far."""
        return self._told.continuity

    def __iter__(self) -> Iterator[Event]:
        """The events, the last of them Finished.

        Raises:
            SeedTuneError: the phone stays away, refuses, or talks nonsense; the app stays without a process, or says
            why     it cannot run. What was collected is kept, and a new Follower goes on from there.
        """
        with OutsideLog(self._mirror.folder, self._every) as outside:
            yield from self._told.fresh()
            while True:
                began = self._clock()
                seen = yield from self._patient_look(outside)
                samples = {source: said for source, said in seen.samples.items() if source != "log"}
                outside.write(seen.boot, samples, self._clock())
                grew = yield from self._kept(seen)
                yield from self._told.fresh()
                yield from self._process.seen(seen, self._told.last_step)
                result = self._ended(seen)
                if result is not None and not grew:
                    yield Finished(result)
                    return
                took = self._clock() - began
                # A slow phone is asked more seldom: half of its time is its own.
                self._sleep(max(self._pace.interval - took, min(took, LONGEST_WAIT_SECONDS), 0.0))

    def _patient_look(self, outside: OutsideLog) -> Generator[Event, None, Look]:
        """A look, over however many broken connections; returns it."""
        lost_at: float | None = None
        wait = 0.1
        while True:
            try:
                seen = self._look(outside)
            except GarbledError as error:
                self._garbled += 1
                if self._garbled >= GARBLED_IN_A_ROW:
                    raise SeedTuneError(
                        "the phone's answers make no sense",
                        value=str(error),
                        rule="what was asked for, between two marks",
                        remedy="restart the phone; something on it may print into every shell command",
                    ) from error
                self._sleep(min(self._pace.interval, 0.2))
                continue
            except DisconnectedError as error:
                if lost_at is None:
                    lost_at = self._clock()
                    yield Notice(f"the phone is out of reach ({error}); the run goes on there, and is waited for")
                if self._clock() - lost_at > self._pace.away:
                    raise given_up(error, self._access.phone.serial) from error
                self._sleep(min(wait, self._pace.interval * LONGEST_WAIT_SECONDS))
                wait = min(2 * wait, LONGEST_WAIT_SECONDS)
                self._access.phone.reconnect()
                continue
            self._garbled = 0
            if lost_at is not None:
                yield Notice(f"the phone is back after {self._clock() - lost_at:.0f} s")
            return seen

    def _look(self, outside: OutsideLog) -> Look:
        self.looks += 1
        known = {name: self._mirror.size_bytes(name) for name in (*FILES, *self._open_segments())}
        # Small, and replaced as a whole: always asked for anew.
        known[RESULT_FILE] = 0
        sources = [*outside.due(self._clock()), *self._process.questions()]
        done = self._verified if len(self._segments) > KEPT_SEGMENTS else {}
        return look(self._access, f"{RUNS}/{self._run}", known, dict.fromkeys(sources), done)

    def _open_segments(self) -> list[str]:
        """Segments of which something may be missing here."""
        return [name for name in self._segments if name not in self._verified]

    def _kept(self, seen: Look) -> Generator[Event, None, bool]:
        """Writes down what was seen; returns whether anything but the result grew, or is known to be missing."""
        fresh_segments = [name for name in seen.segments if name not in self._segments]
        self._segments = seen.segments
        grew = bool(fresh_segments)
        for name, chunk in seen.chunks.items():
            if name == RESULT_FILE:
                continue
            taken = self._mirror.take(name, chunk.size_bytes, chunk.start, chunk.data)
            if taken is Taken.REWRITTEN:
                yield Notice(f"{name} was written anew on the phone and is fetched again")
                self._told.rewritten(name)
            complete = self._mirror.size_bytes(name) >= chunk.size_bytes
            grew |= taken is not Taken.NOTHING_NEW or not complete
            newest = name == max(seen.segments, default="")
            if name in seen.segments and complete and not newest and len(seen.segments) > KEPT_SEGMENTS:
                self._verified[name] = self._mirror.sha256(name)
        return grew

    def _ended(self, seen: Look) -> RunResult | None:
        """The result, if the run has come to it."""
        chunk = seen.chunks.get(RESULT_FILE)
        if chunk is None or chunk.data == self._before or len(chunk.data) != chunk.size_bytes:
            return None
        self._mirror.replace(RESULT_FILE, chunk.data)
        result = read_json(self._mirror.folder / RESULT_FILE, RunResult)
        # A run that went on has made more steps than an older result knows of.
        return None if self._told.last_step > result.steps else result
