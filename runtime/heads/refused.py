"""What only rows of text, or weights, can have, asked of a bundle of heads."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from seedtune.runtime.errors import SeedTuneError


def refuse_what_is_of_text(given: Mapping[str, object], bundle: Path, rule: str) -> None:
    """Raises SeedTuneError where an option of ``given`` is not None.

    Args:
        given: option -> its value.
        bundle: the folder.
        rule: the command as it is for heads.
    """
    of_text = [name for name, value in given.items() if value is not None]
    if of_text:
        raise SeedTuneError(
            "a bundle of heads brings its rows and has no weights to stream",
            file=bundle,
            value=", ".join(of_text),
            rule=rule,
            remedy=f"leave {' and '.join(of_text)} out",
        )
