"""Names of files that come from a phone or go to one."""

from __future__ import annotations

import re

from seedtune.runtime.errors import SeedTuneError

# Longer ones no file system of a phone takes (NAME_MAX); control characters would reach a terminal.
_PLAIN = re.compile(r"[^./\x00-\x1f\x7f][^/\x00-\x1f\x7f]{0,199}")


def is_plain(name: str) -> bool:
    """Whether ``name`` stays in its folder, is not hidden, and can be shown."""
    return bool(_PLAIN.fullmatch(name))


def require_plain(name: str) -> str:
    """``name`` if it is :func:`plain <is_plain>`.

    Raises:
        SeedTuneError: it is not.
    """
    if not is_plain(name):
        raise SeedTuneError(
            "this is not the name of a file or folder on the phone",
            value=name,
            rule="a plain name: no /, no dot in front, no control characters, at most 200 characters",
            remedy="choose another name",
        )
    return name
