"""What a phone told of a run, over one time: the app's lines and the samples from outside, joined on the phone's clock.

Every value knows the file and line that it is read from.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

import msgspec

from seedtune.runtime.decoding import read_plain_file
from seedtune.runtime.telemetry.phone.dumpsys import parse_battery, parse_meminfo, parse_thermal
from seedtune.runtime.telemetry.phone.proc import parse_zram, sizes, swap_used_bytes
from seedtune.runtime.telemetry.phone.records import (
    OUTSIDE_FILE,
    PHONE_FILE,
    SEGMENT,
    AppLine,
    OutsideSample,
    PhoneInfo,
)
from seedtune.runtime.telemetry.phone.sequence import Continuity, Sequence

NANO = 1e-9
Record = TypeVar("Record")
# Field of the app's lines -> series.
APP_SERIES = {
    "pss_bytes": "PSS",
    "rss_anon_bytes": "RssAnon",
    "rss_file_bytes": "RssFile",
    "vm_hwm_bytes": "VmHWM",
    "swap_pss_bytes": "SwapPss",
    "native_heap_bytes": "native heap",
    "thermal_status": "thermal status",
    "battery_percent": "battery, %",
    "battery_joules": "energy, J",
}
MEMORY_KINDS = ("PSS", "RssAnon", "RssFile", "VmHWM", "SwapPss", "native heap", "PSS, dumpsys", "RSS, dumpsys")


@dataclass(frozen=True)
class Sample:
    """A value at a time: seconds since the first sample of the run, and where it stands, as ``file:line``."""

    seconds: float
    value: float
    place: str


@dataclass
class PhoneSeries:
    """What a RUN folder tells of its phone.

    Attributes:
        info: which phone; None if nothing says so.
        series: name -> samples, rising in time; memory in bytes, temperature in degrees Celsius.
        continuity: whether the app's lines are whole.
        unread: lines that are none, as ``file:line``.
    """

    info: PhoneInfo | None = None
    series: dict[str, list[Sample]] = field(default_factory=dict)
    continuity: Continuity = field(default_factory=lambda: Sequence().so_far)
    unread: list[str] = field(default_factory=list)

    def peak(self, name: str) -> Sample | None:
        """The largest value of the series ``name``."""
        return max(self.series.get(name, ()), key=lambda sample: sample.value, default=None)

    def last(self, name: str) -> Sample | None:
        """The newest value of the series ``name``."""
        found = self.series.get(name)
        return found[-1] if found else None

    def __bool__(self) -> bool:
        return bool(self.series)


def read_phone_series(folder: Path) -> PhoneSeries:
    """Reads the files of a phone in the RUN folder ``folder``; empty for a run of a desk.

    A line that is none is left out and named, as what a phone wrote last before it lost power may be cut.

    Raises:
        SeedTuneError: a file cannot be read.
    """
    result = PhoneSeries(info=_info(folder / PHONE_FILE))
    app = list(_app_lines(folder, result))
    outside = list(_outside(folder, result))
    clock = _Clock(
        [line.elapsed_realtime_nanos for line, _ in app],
        [(sample.boot, sample.elapsed_realtime_nanos) for sample, _ in outside],
    )
    sequence = Sequence(begun_before=bool(app) and app[0][0].sequence != 0)
    for (line, place), seconds in zip(app, clock.of_app, strict=True):
        sequence.see(line.sequence)
        for name, series in APP_SERIES.items():
            _add(result, series, seconds, getattr(line, name), place)
    for (sample, place), seconds in zip(outside, clock.of_outside, strict=True):
        for series, value in _READERS.get(sample.source, _nothing)(sample.text):
            _add(result, series, seconds, value, place)
    for samples in result.series.values():
        samples.sort(key=lambda sample: sample.seconds)
    result.continuity = sequence.so_far
    return result


class _Clock:
    """Seconds since the first sample, over restarts of the phone, each of which begins at zero again.

    The time that the phone was off is not known and counts as none. Samples from outside name the boot; in the app's
    lines time going back tells of one, and the boots are taken to be the same in the same order.
    """

    def __init__(self, app: list[int], outside: list[tuple[str, int]]) -> None:
        boots = list(dict.fromkeys(boot for boot, _ in outside))
        of_app, number = [], 0
        for place, nanos in enumerate(app):
            number += bool(place and nanos < app[place - 1])
            of_app.append((number, nanos))
        of_outside = [(boots.index(boot), nanos) for boot, nanos in outside]
        spans: dict[int, tuple[int, int]] = {}
        for boot, nanos in of_app + of_outside:
            low, high = spans.get(boot, (nanos, nanos))
            spans[boot] = min(low, nanos), max(high, nanos)
        before, starts = 0, {}
        for boot in sorted(spans):
            starts[boot] = before - spans[boot][0]
            before += spans[boot][1] - spans[boot][0]
        self.of_app = [(starts[boot] + nanos) * NANO for boot, nanos in of_app]
        self.of_outside = [(starts[boot] + nanos) * NANO for boot, nanos in of_outside]


def _add(result: PhoneSeries, series: str, seconds: float, value: float | None, place: str) -> None:
    if value is not None:
        result.series.setdefault(series, []).append(Sample(seconds, float(value), place))


def _info(path: Path) -> PhoneInfo | None:
    if not path.is_file():
        return None
    try:
        return msgspec.json.decode(path.read_bytes(), type=PhoneInfo)
    except (ValueError, RecursionError):
        return None


def _app_lines(folder: Path, result: PhoneSeries) -> Iterator[tuple[AppLine, str]]:
    for path in sorted(folder.glob("telemetry-*.jsonl")):
        if SEGMENT.fullmatch(path.name):
            yield from _lines(path, AppLine, result)


def _outside(folder: Path, result: PhoneSeries) -> Iterator[tuple[OutsideSample, str]]:
    path = folder / OUTSIDE_FILE
    if path.is_file():
        yield from _lines(path, OutsideSample, result)


def _lines(path: Path, kind: type[Record], result: PhoneSeries) -> Iterator[tuple[Record, str]]:
    content = read_plain_file(path, "the log", "pull the run again")
    for number, line in enumerate(content.split(b"\n"), 1):
        if line.strip():
            try:
                yield msgspec.json.decode(line.decode("utf-8"), type=kind), f"{path.name}:{number}"
            except (ValueError, RecursionError):
                result.unread.append(f"{path.name}:{number}")


Values = Iterator[tuple[str, float | None]]


def _nothing(_text: str) -> Values:
    return iter(())


def _of_meminfo(text: str) -> Values:
    found = parse_meminfo(text)
    if found:
        yield "PSS, dumpsys", found.pss_bytes
        yield "RSS, dumpsys", found.rss_bytes
        yield "SwapPss, dumpsys", found.swap_pss_bytes


def _of_battery(text: str) -> Values:
    yield "battery, \N{DEGREE SIGN}C", parse_battery(text).celsius


def _of_thermal(text: str) -> Values:
    found = parse_thermal(text)
    yield "skin, \N{DEGREE SIGN}C", found.skin_celsius
    yield "thermal status, dumpsys", found.status


def _of_status(text: str) -> Values:
    found = sizes(text)
    yield "RssAnon, from outside", found.get("RssAnon")
    yield "VmSwap, from outside", found.get("VmSwap")


def _of_memory(text: str) -> Values:
    yield "available memory", sizes(text).get("MemAvailable")


def _of_swaps(text: str) -> Values:
    yield "swap in use", swap_used_bytes(text)


def _of_zram(text: str) -> Values:
    found = parse_zram(text)
    yield "zram", None if found is None else found.memory_bytes


_READERS: dict[str, Callable[[str], Values]] = {
    "meminfo": _of_meminfo,
    "battery": _of_battery,
    "thermal": _of_thermal,
    "status": _of_status,
    "memory": _of_memory,
    "swaps": _of_swaps,
    "zram": _of_zram,
}
