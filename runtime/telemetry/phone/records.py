"""Lines about a phone in a RUN folder: by the app (``telemetry-NNNNNN.jsonl``), by the desk, and which phone it was.

Times are the phone's own: nanoseconds since it was switched on, sleep included (``SystemClock.elapsedRealtimeNanos``,
and the first number of ``/proc/uptime``), so that a clock that is set tells nothing wrong. What a phone does not tell
is null.
"""

from __future__ import annotations

import re
from typing import Annotated

import msgspec
from msgspec import Meta

OUTSIDE_FILE = "outside.jsonl"
PHONE_FILE = "phone.json"
SEGMENT = re.compile(r"telemetry-[0-9]{6}\.jsonl")
Count = Annotated[int, Meta(ge=0)]


class AppLine(msgspec.Struct, frozen=True, kw_only=True):
    """A line of the app (``Telemetry.kt``): its process, and the phone; ``sequence`` starts from 0 with every process.

    ``lines_dropped`` counts lines that found no room since the one before.
    """

    sequence: Count
    elapsed_realtime_nanos: Count
    vm_rss_bytes: int | None = None
    rss_anon_bytes: int | None = None
    rss_file_bytes: int | None = None
    vm_hwm_bytes: int | None = None
    pss_bytes: int | None = None
    pss_anon_bytes: int | None = None
    private_dirty_bytes: int | None = None
    swap_pss_bytes: int | None = None
    rollup_at_nanos: int | None = None
    native_heap_bytes: int | None = None
    available_bytes: int | None = None
    low_memory: bool | None = None
    thermal_status: int | None = None
    thermal_headroom: float | None = None
    battery_percent: int | None = None
    charging: bool | None = None
    battery_current_microamperes: int | None = None
    battery_voltage_millivolts: int | None = None
    battery_joules: float | None = None
    free_storage_bytes: int | None = None
    lines_dropped: int = 0


class OutsideSample(msgspec.Struct, frozen=True, kw_only=True):
    """What one source said at one time, word by word; numbers are read from it when they are asked for.

    ``source`` is meminfo, status, battery, thermal, memory, swaps, zram or exits; ``boot`` tells one start of the phone
    from the next.
    """

    sequence: Count
    boot: str
    elapsed_realtime_nanos: Count
    source: str
    text: str


class PhoneInfo(msgspec.Struct, frozen=True, kw_only=True):
    """``phone.json``: which phone it was, without anything that tells one from others of its kind."""

    manufacturer: str
    model: str
    android: str
    sdk: int
    abis: list[str]
    memory_bytes: int | None
    app_version: str | None
