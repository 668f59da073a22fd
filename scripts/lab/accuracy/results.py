"""Results one a line, written as soon as they are there, so that a stop loses nothing and a later call goes on."""

from __future__ import annotations

import fcntl
import json
import os
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from lab.machine import commit, machine, versions
from seedtune.runtime.errors import SeedTuneError

KEY = ("source", "task", "method", "seed", "rows", "settings")


@dataclass(frozen=True)
class Result:
    """One outcome and all that it depends on.

    Attributes:
        key: source, task (name and file), method, seed, rows of each part, settings.
        outcome: as `method.Outcome.as_dict`.
        origin: date, commit, machine and versions.
    """

    key: dict[str, Any]
    outcome: dict[str, Any]
    origin: dict[str, Any]

    @property
    def task(self) -> str:
        """Its name."""
        return str(self.key["task"]["name"])

    @property
    def method(self) -> str:
        """Its name."""
        return str(self.key["method"])

    @property
    def seed(self) -> int:
        """Of the run."""
        return int(self.key["seed"])


def origin() -> dict[str, Any]:
    """Of a result that is measured now."""
    return {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "commit": commit(),
        "machine": machine(),
        "versions": versions(),
    }


def read_results(file: Path) -> list[Result]:
    """Every whole line of ``file``; none where there is no file. A last line that a stop has torn is left out.

    Raises:
        SeedTuneError: another line is no result.
    """
    if not file.is_file():
        return []
    *lines, _torn = file.read_text("utf-8").split("\n")
    return [_result(line, f"{file}:{number}") for number, line in enumerate(lines, 1) if line]


def append_result(file: Path, result: Result) -> None:
    """Adds ``result`` durably, behind what is whole: a line that a stop has torn is taken away."""
    file.parent.mkdir(parents=True, exist_ok=True)
    line = json.dumps({"key": result.key, "outcome": result.outcome, "origin": result.origin}) + "\n"
    with file.open("ab+", buffering=0) as opened:
        # Another bench may add to the same file.
        fcntl.flock(opened, fcntl.LOCK_EX)
        opened.seek(0)
        opened.truncate(opened.read().rfind(b"\n") + 1)
        opened.write(line.encode())
        os.fsync(opened.fileno())


def find_result(results: list[Result], key: dict[str, Any]) -> Result | None:
    """The newest result of exactly ``key``."""
    wanted = json.loads(json.dumps(key))
    return next((result for result in reversed(results) if result.key == wanted), None)


def _result(line: str, place: str) -> Result:
    try:
        found = json.loads(line)
        result = Result(found["key"], found["outcome"], found["origin"])
        if not result.key.keys() == set(KEY) or "accuracy" not in result.outcome:
            raise KeyError(*KEY)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise SeedTuneError(
            "the line is no result of this bench",
            file=place,
            value=line[:200],
            rule=f"JSON with key ({', '.join(KEY)}), outcome and origin",
            remedy="delete the line, or name another file with --results",
        ) from error
    return result
