"""Durations as people write them, and as they read them."""

from __future__ import annotations

import math
import re

from seedtune.runtime.errors import SeedTuneError

SECONDS_OF = {"h": 3600, "m": 60, "s": 1}
_NUMBER = r"(\d+(?:\.\d+)?)"
_PARTS = re.compile(rf"(?:{_NUMBER}\s*h)?\s*(?:{_NUMBER}\s*m(?:in)?)?\s*(?:{_NUMBER}\s*s?)?")


def duration_seconds(duration: float | str, name: str) -> float:
    """Seconds: a number of them, or hours, minutes and seconds in this order: ``90s``, ``10m``, ``1h30m``.

    Args:
        duration: as it was given.
        name: of the option, for the message.

    Raises:
        SeedTuneError: ``duration`` is none, or nothing.
    """
    text = str(duration).strip().lower()
    found = _PARTS.fullmatch(text)
    seconds = math.nan
    if not isinstance(duration, str):
        seconds = float(duration)
    elif found is not None and text:
        parts = zip(found.groups(), SECONDS_OF.values(), strict=True)
        seconds = sum(float(number) * unit for number, unit in parts if number is not None)
    if not 0 < seconds < math.inf:
        raise SeedTuneError(
            f"{name} is not a duration",
            value=duration,
            rule="hours, minutes and seconds above 0, such as 90s, 10m or 1h30m",
            remedy="write 10m",
        )
    return seconds


def short_duration(seconds: float) -> str:
    """A duration for people, two units at most: ``8 s``, ``3 min 20 s``, ``2 h 05 min``, ``1 d 4 h``."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    if whole < 86400:
        return f"{whole // 3600} h {whole % 3600 // 60:02d} min"
    return f"{whole // 86400} d {whole % 86400 // 3600} h"
