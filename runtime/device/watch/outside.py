"""Samples from outside the app, kept word by word in ``outside.jsonl``."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import TracebackType

from seedtune.runtime.device.adb.text import plain
from seedtune.runtime.telemetry.phone.records import OUTSIDE_FILE, OutsideSample
from seedtune.runtime.telemetry.steplog import JsonLinesWriter, read_json_lines

MOST_CHARACTERS = 64 << 10
# Source -> seconds between two samples. What Android computes from all pages of a process (meminfo) takes it longest.
EVERY_SECONDS = {
    "meminfo": 30.0,
    "status": 5.0,
    "battery": 15.0,
    "thermal": 15.0,
    "memory": 15.0,
    "swaps": 15.0,
    "zram": 15.0,
}


class OutsideLog:
    """Appends samples; numbers go on where an earlier desk left off.

    Args:
        folder: the RUN folder here.

    Raises:
        SeedTuneError: the file cannot be written, or what is in it is none of ours.
    """

    def __init__(self, folder: Path, every_seconds: Mapping[str, float] | None = None) -> None:
        path = folder / OUTSIDE_FILE
        before = read_json_lines(path, OutsideSample) if path.exists() else []
        self._next = before[-1].sequence + 1 if before else 0
        self._every_seconds = dict(EVERY_SECONDS if every_seconds is None else every_seconds)
        self._due: dict[str, float] = {}
        self._writer = JsonLinesWriter(path)

    def due(self, now_seconds: float) -> list[str]:
        """Sources that are to be asked now."""
        return [source for source in self._every_seconds if now_seconds >= self._due.get(source, 0.0)]

    def write(self, boot: str, samples: Mapping[str, tuple[int, str]], now_seconds: float) -> None:
        """Appends what was answered."""
        for source, (nanos, text) in samples.items():
            if source in self._every_seconds:
                self._due[source] = now_seconds + self._every_seconds[source]
            self._writer.write(
                OutsideSample(
                    sequence=self._next,
                    boot=boot,
                    elapsed_realtime_nanos=nanos,
                    source=source,
                    text=plain(text[:MOST_CHARACTERS]),
                )
            )
            self._next += 1

    def __enter__(self) -> OutsideLog:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._writer.close()
