"""From bytes of a file to a value of a type: whatever is in them, what is wrong is said of the file."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TypeVar

import msgspec

from seedtune.runtime.errors import SeedTuneError

Value = TypeVar("Value")


def decoded(raw: bytes, kind: type[Value], path: str | os.PathLike[str], what: str, rule: str, remedy: str) -> Value:
    """The JSON ``raw`` as a ``kind``.

    Args:
        raw: JSON in UTF-8.
        kind: a type that msgspec knows.
        path: where it is from, for the error.
        what: the error where it is no such value.
        rule: what would have been one.
        remedy: what to do.

    Raises:
        SeedTuneError: it is no JSON, no such value, or nested more deeply than anything sensible.
    """
    try:
        # As text: what stands in a field that is not asked for would otherwise not have to be any.
        return msgspec.json.decode(raw.decode("utf-8"), type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise SeedTuneError(f"{what} ({error})", file=path, rule=rule, remedy=remedy) from error


def require_plain_file(path: Path, what: str, remedy: str) -> None:
    """Raises SeedTuneError where ``path`` is a folder, a pipe or a device; one that is not there is found later."""
    if path.exists() and not path.is_file():
        raise SeedTuneError(f"{what} is no plain file", file=path, rule="a plain file", remedy=remedy)


def read_plain_file(path: Path, what: str, remedy: str) -> bytes:
    """The bytes of ``path``, which must be a plain file: a pipe might never say anything, and a device never end.

    Raises:
        SeedTuneError: it is none, or cannot be read.
    """
    require_plain_file(path, what, remedy)
    try:
        return path.read_bytes()
    except OSError as error:
        raise SeedTuneError(
            f"{what} cannot be read ({error.strerror})", file=path, rule="a file that this user may read", remedy=remedy
        ) from error
