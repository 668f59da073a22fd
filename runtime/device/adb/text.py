"""Text from a phone for a terminal, and text for a shell on a phone. Either side is untrusted."""

from __future__ import annotations

import re
import shlex

# Escape sequences (ECMA-48: CSI, OSC and the like, and two-character ones), then every control character but tab and
# newline, and the marks that turn text around (Unicode TR9).
_ESCAPES = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|[\]PX^_][^\x07\x1b]*(?:\x07|\x1b\\)?|[ -/]*[0-~])")
_CONTROL = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")


def plain(text: bytes | str) -> str:
    """``text`` without anything that a terminal would obey; what is not UTF-8 is replaced."""
    if isinstance(text, bytes):
        text = text.decode("utf-8", "replace")
    return _CONTROL.sub("", _ESCAPES.sub("", text.replace("\r\n", "\n")))


def quoted(word: str) -> str:
    """``word`` as one word of a shell's command line (POSIX, 2.2.2: nothing is special within single quotes)."""
    return shlex.quote(word)
