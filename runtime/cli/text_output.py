"""Generated text on standard output, at once, whatever characters that takes."""

from __future__ import annotations

import sys


def write_text(text: str) -> None:
    """Shows ``text``; a character that the encoding of standard output lacks is a question mark."""
    encoding = sys.stdout.encoding or "utf-8"
    sys.stdout.write(text.encode(encoding, "replace").decode(encoding))
    sys.stdout.flush()
