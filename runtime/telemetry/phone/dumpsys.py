"""Numbers out of what ``dumpsys`` prints, by the names in its headings: order and number of columns differ by version.

Each function takes any text and gives None for what is not in it. Android's sources that write these texts:
``ActivityThread.dumpMemInfoTable`` (meminfo), ``BatteryService.dumpInternal`` (battery), ``ThermalManagerService``
(thermal).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import pairwise

KIBIBYTE = 1024
_ROW = re.compile(r"\s*(\S.*?)\s+([0-9]+(?:\s+[0-9]+)*)\s*")
_TEMPERATURE = re.compile(r"Temperature\{mValue=(-?[0-9.]+), mType=(-?[0-9]+), mName=([^,}]*), mStatus=([0-9]+)")
SKIN = 3  # android.os.Temperature.TYPE_SKIN


@dataclass(frozen=True)
class MemInfo:
    """``dumpsys meminfo PACKAGE``: kind ("Native Heap", ..., "TOTAL") -> column ("Pss Total", ...) -> bytes."""

    kinds: dict[str, dict[str, int]]

    def total(self, column: str) -> int | None:
        """The sum of all kinds in ``column``; None where this Android has no such column."""
        return self.kinds.get("TOTAL", {}).get(column)

    @property
    def pss_bytes(self) -> int | None:
        """Proportional set size."""
        return self.total("Pss Total")

    @property
    def rss_bytes(self) -> int | None:
        """Resident set size; newer Androids only."""
        return self.total("Rss Total")

    @property
    def swap_pss_bytes(self) -> int | None:
        """What lies in swap (zram), by its share."""
        return self.total("SwapPss Dirty")


def parse_meminfo(text: str) -> MemInfo | None:
    """The table of one process; None where there is none, as for a process that is gone."""
    lines = text.splitlines()
    for number, (upper, lower) in enumerate(pairwise(lines)):
        # The heading has two lines, "Pss Private ..." over "Total Dirty ...": a column is named by both.
        above, below = upper.split(), lower.split()
        if above[:1] == ["Pss"] and below[:1] == ["Total"] and len(above) == len(below):
            columns = [" ".join(pair) for pair in zip(above, below, strict=True)]
            kinds = _rows(lines[number + 2 :], columns)
            return MemInfo(kinds) if "TOTAL" in kinds else None
    return None


def _rows(lines: list[str], columns: list[str]) -> dict[str, dict[str, int]]:
    kinds: dict[str, dict[str, int]] = {}
    for line in lines:
        found = _ROW.fullmatch(line)
        if found:
            numbers = [int(number) * KIBIBYTE for number in found[2].split()]
            # Rows without a heap of their own are shorter, and the heap's columns stand last.
            kinds.setdefault(found[1], dict(zip(columns, numbers, strict=False)))
            if found[1] == "TOTAL":
                break
    return kinds


@dataclass(frozen=True)
class Battery:
    """``dumpsys battery``."""

    percent: float | None
    celsius: float | None
    volts: float | None
    charging: bool | None


def parse_battery(text: str) -> Battery:
    """Charge, temperature and voltage."""
    values = dict(line.strip().split(": ", 1) for line in text.splitlines() if ": " in line)
    level, scale = _number(values.get("level")), _number(values.get("scale"))
    temperature, voltage = _number(values.get("temperature")), _number(values.get("voltage"))
    powered = [value == "true" for name, value in values.items() if name.endswith(" powered")]
    return Battery(
        percent=100 * level / scale if level is not None and scale else None,
        # Tenths of a degree.
        celsius=None if temperature is None else temperature / 10,
        # Millivolts; a few phones say volts.
        volts=None if voltage is None else voltage / 1000 if voltage > 100 else voltage,
        charging=any(powered) if powered else None,
    )


@dataclass(frozen=True)
class Thermal:
    """``dumpsys thermalservice`` (Android 10 and later): status (0 none to 6 shutdown), and the skin's temperature."""

    status: int | None
    skin_celsius: float | None


def parse_thermal(text: str) -> Thermal:
    """Status and skin temperature; what the hardware says now before what was kept."""
    status = re.search(r"^\s*Thermal Status: ([0-9]+)", text, re.MULTILINE)
    _, current, rest = text.partition("Current temperatures from HAL:")
    found = [(int(kind), float(value)) for value, kind, _, _ in _TEMPERATURE.findall(rest if current else text)]
    skin = [value for kind, value in found if kind == SKIN]
    return Thermal(int(status[1]) if status else None, max(skin) if skin else None)


def _number(text: str | None) -> float | None:
    try:
        return None if text is None else float(text)
    except ValueError:
        return None
