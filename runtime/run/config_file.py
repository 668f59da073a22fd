"""Settings in a file: TOML by hand, or run.json of an earlier run."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from seedtune.runtime.errors import SeedTuneError
from seedtune.runtime.telemetry.records import RUN_FILE


def read_config(path: Path) -> dict[str, Any]:
    """Name -> value of the settings in ``path``, flat: ``steps``, ``optimizer.kind``, ...

    Args:
        path: TOML, whose tables stand for dotted names; or JSON, such as the ``run.json`` of an earlier run.

    Raises:
        SeedTuneError: the file cannot be read, or is neither.
    """
    try:
        text = path.read_text("utf-8-sig")
        content: Any = json.loads(text) if path.suffix.lower() == ".json" else tomllib.loads(text)
    except OSError as error:
        raise SeedTuneError(
            f"the settings cannot be read ({error.strerror})", file=path, remedy="check the path"
        ) from error
    except ValueError as error:
        raise SeedTuneError(
            f"the settings cannot be read ({error})",
            file=path,
            rule=f"TOML such as: steps = 400, or the {RUN_FILE} of a run (.json)",
            remedy="correct the file",
        ) from error
    if isinstance(content, dict) and isinstance(content.get("settings"), dict):
        content = content["settings"]
    if not isinstance(content, dict):
        raise SeedTuneError("these are no settings", file=path, value=content, rule="names and values")
    return _flat(content)


def _flat(content: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for name, value in content.items():
        if isinstance(value, dict):
            flat |= _flat(value, f"{prefix}{name}.")
        else:
            flat[prefix + name] = value
    return flat
