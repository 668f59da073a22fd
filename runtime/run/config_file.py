"""Settings in a file: TOML by hand, or run.json of an earlier run."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from seedtune.runtime.errors import SeedTuneError
from seedtune.runtime.run.options import PARTS, check_each, plain_name, without_other_kinds
from seedtune.runtime.run.settings import Settings
from seedtune.runtime.telemetry.records import RUN_FILE

# A guess: a thousand times the longest sensible file.
MAX_BYTES = 1 << 20
MAX_DEPTH = 8


def read_config(path: Path) -> dict[str, Any]:
    """Name -> value of the settings in ``path``, flat: ``steps``, ``optimizer.kind``, ...

    Args:
        path: TOML, whose tables stand for dotted names; or JSON, such as the ``run.json`` of an earlier run.

    Raises:
        SeedTuneError: the file cannot be read, is neither, or says something twice.
    """
    is_json = path.suffix.lower() == ".json"
    try:
        with path.open("rb") as file:
            raw = file.read(MAX_BYTES + 1)
        if len(raw) > MAX_BYTES:
            raise ValueError(f"more than {MAX_BYTES:,} bytes")
        text = raw.decode("utf-8-sig")
        content: Any = json.loads(text, object_pairs_hook=_each_once) if is_json else tomllib.loads(_lines(text))
    except OSError as error:
        raise SeedTuneError(
            f"the settings cannot be read ({error.strerror})", file=path, remedy="check the path"
        ) from error
    except (ValueError, RecursionError) as error:
        raise SeedTuneError(
            f"the settings cannot be read ({error})",
            file=path,
            rule=f"TOML such as: steps = 400, or the {RUN_FILE} of a run (.json)",
            remedy="correct the file",
        ) from error
    if is_json and isinstance(content, dict) and isinstance(content.get("settings"), dict):
        content = content["settings"]
    if not isinstance(content, dict):
        raise SeedTuneError(
            "these are no settings", file=path, value=content, rule="names and values", remedy="correct the file"
        )
    return _flat(content, path)


def read_settings(path: Path, given: Mapping[str, Any], resume: bool = False) -> dict[str, Any]:
    """:func:`read_config` without what ``given`` options replace, checked as far as that can be done without the run.

    Args:
        path: of the file.
        given: the options beside it, such as another kind of optimizer.
        resume: whether what neither says is taken from an earlier run.

    Raises:
        SeedTuneError: as :func:`read_config`, or a setting does not exist or is out of range; names the file.
    """
    settings = read_config(path)
    try:
        check_each(Settings(), settings)
        settings = without_other_kinds(settings, given)
        if not resume:
            Settings().changed(settings | {part: given[part] for part in PARTS if part in given})
        return settings
    except SeedTuneError as error:
        raise error.at(path) from error


def _lines(text: str) -> str:
    # As a file opened as text has them, which TOML wants of whoever reads it.
    return text.replace("\r\n", "\n").replace("\r", "\n")


def _each_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        raise ValueError(f"{next(name for name in names if names.count(name) > 1)!r} stands there twice")
    return found


def _pairs(content: Mapping[str, Any], prefix: str = "", depth: int = 0) -> Iterator[tuple[str, Any]]:
    for name, value in content.items():
        # What is nested more deeply is no setting either, and may be nested without an end. An empty table says nothing
        # of a part, and is no value of anything else.
        is_table = isinstance(value, dict) and (value or (not prefix and name in PARTS))
        if is_table and depth < MAX_DEPTH:
            yield from _pairs(value, f"{prefix}{name}.", depth + 1)
        else:
            yield prefix + name, value


def _flat(content: Mapping[str, Any], path: Path) -> dict[str, Any]:
    """Dotted name -> value."""
    pairs = list(_pairs(content))
    places: dict[str, str] = {}
    for name, _ in pairs:
        other = places.setdefault(plain_name(name), name)
        if other != name or [each for each, _ in pairs].count(name) > 1:
            raise SeedTuneError(
                "a setting is said twice",
                file=path,
                value=f"{other} and {name}",
                rule="each setting once, whatever its spelling",
                remedy="remove one of them",
            )
    return dict(pairs)
