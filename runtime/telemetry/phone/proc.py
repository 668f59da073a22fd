"""Numbers out of /proc and /sys of a phone; see proc(5), and zram in the kernel's documentation (mm_stat)."""

from __future__ import annotations

import re
from dataclasses import dataclass

KIBIBYTE = 1024
_SIZE = re.compile(r"^([\w()]+):\s+([0-9]+) kB", re.MULTILINE)


def sizes(text: str) -> dict[str, int]:
    """``Name:   number kB`` lines (/proc/PID/status, /proc/meminfo) as name -> bytes."""
    return {name: int(number) * KIBIBYTE for name, number in _SIZE.findall(text)}


def swap_used_bytes(text: str) -> int | None:
    """What is used of all swap, from /proc/swaps by its heading; None without one."""
    lines = [line.split() for line in text.splitlines() if line.strip()]
    if not lines or "Used" not in lines[0]:
        return None
    column = lines[0].index("Used")
    return sum(int(row[column]) * KIBIBYTE for row in lines[1:] if len(row) > column and row[column].isdigit())


@dataclass(frozen=True)
class Zram:
    """Swap in compressed memory: what lies in it, and the memory that this takes."""

    stored_bytes: int
    memory_bytes: int


def parse_zram(text: str) -> Zram | None:
    """The first and third number of /sys/block/zram0/mm_stat; None where the phone does not show them."""
    numbers = text.split()
    if len(numbers) < 3 or not all(number.isdigit() for number in numbers[:3]):
        return None
    return Zram(int(numbers[0]), int(numbers[2]))


def uptime_nanos(text: str) -> int | None:
    """The first number of /proc/uptime, in nanoseconds: the time since the phone was switched on, sleep included."""
    found = re.match(r"\s*([0-9]+)\.([0-9]{1,9})", text)
    return int(found[1]) * 10**9 + int(found[2].ljust(9, "0")) if found else None
