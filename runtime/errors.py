"""One exception for everything a user can put right.

An error names the file, the value found, the rule it breaks and the remedy, so that its reader never has to open
the source. The command line prints it without a traceback and exits with code 2; anything else that escapes is a
defect of SeedTune and keeps its traceback.
"""

from __future__ import annotations

import os

EXIT_CODE = 2


class SeedTuneError(Exception):
    """A user-facing failure.

    Args:
        what: what is wrong, in one sentence without a full stop.
        file: the file (and line, as ``path:line``) that it was found in.
        value: the offending value, shown with ``repr`` and shortened.
        rule: what would have been accepted.
        remedy: what to do next, as an instruction.
    """

    def __init__(
        self,
        what: str,
        *,
        file: str | os.PathLike[str] | None = None,
        value: object = None,
        rule: str | None = None,
        remedy: str | None = None,
    ) -> None:
        self.what = what
        self.file = None if file is None else os.fspath(file)
        self.value = value
        self.rule = rule
        self.remedy = remedy
        super().__init__(self.render())

    def at(self, file: str | os.PathLike[str], what: str | None = None, remedy: str | None = None) -> SeedTuneError:
        """The same failure, found in ``file``, said in other words where these are given."""
        return SeedTuneError(
            what or self.what, file=file, value=self.value, rule=self.rule, remedy=remedy or self.remedy
        )

    def render(self) -> str:
        """The whole message: one line of what and where, then one line each for value, rule and remedy."""
        lines = [f"{self.file}: {self.what}" if self.file else self.what]
        if self.value is not None:
            lines.append(f"  found:  {shorten(shown(self.value))}")
        if self.rule:
            lines.append(f"  rule:   {self.rule}")
        if self.remedy:
            lines.append(f"  remedy: {self.remedy}")
        return "\n".join(lines)


def shown(value: object) -> str:
    """``value`` as Python spells it; what cannot be spelled (nested too deeply, too many digits) by its type."""
    try:
        return repr(value)
    except (RecursionError, ValueError):
        return f"a {type(value).__name__} too large to be shown"


def shorten(text: str, limit: int = 240) -> str:
    """``text`` cut to ``limit`` characters, with a note of how many were left out."""
    if len(text) <= limit:
        return text
    return f"{text[:limit]}… ({len(text) - limit:,} more characters)"
