"""Takes out of text what names a device or a person: serial numbers, addresses, accounts, names of folders."""

from __future__ import annotations

import re
from collections.abc import Iterable

# What a text has, and what stands there afterwards. Longer things first: an account may hold what looks like a number.
PATTERNS = (
    (re.compile(rb"[A-Za-z0-9._%+-]{1,64}@[A-Za-z0-9-]{1,63}(?:\.[A-Za-z0-9-]{1,63})+"), b"ACCOUNT"),
    (re.compile(rb"\b(?:[0-9A-Fa-f]{2}:){5}[0-9A-Fa-f]{2}\b"), b"HARDWARE-ADDRESS"),
    (re.compile(rb"\b(?:[0-9A-Fa-f]{1,4}:){4,7}[0-9A-Fa-f]{1,4}\b"), b"ADDRESS"),
    (re.compile(rb"\b(?:[0-9]{1,3}\.){3}[0-9]{1,3}(?::[0-9]{1,5})?\b"), b"ADDRESS"),
    (re.compile(rb"(?<![\w.-])[0-9]{15}(?![\w.])"), b"IMEI"),
    (re.compile(rb"(?i)(android_id|serialno|serial|imei|meid)(\W{1,4})[0-9A-Za-z-]{4,40}"), rb"\1\2IDENTIFIER"),
    (re.compile(rb"/(home|Users|root)/[^/\s\"']+"), rb"/\1/SOMEONE"),
)


class Redaction:
    """Replaces ``known`` identifiers, and whatever looks like one.

    Args:
        known: texts that must not be left, such as the serial number that adb knows the phone by.
    """

    def __init__(self, known: Iterable[str]) -> None:
        # An address that adb was connected to is its own serial number, with a port.
        parts = {part for text in known for part in (text, text.partition(":")[0]) if len(part) > 3}
        self._known = [part.encode() for part in sorted(parts, key=len, reverse=True)]

    def applied(self, raw: bytes) -> bytes:
        """``raw`` without identifiers."""
        for text in self._known:
            raw = raw.replace(text, b"SERIAL")
        for pattern, instead in PATTERNS:
            raw = pattern.sub(instead, raw)
        return raw
