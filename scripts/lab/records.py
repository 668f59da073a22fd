"""Lines of measurements: one JSON object a run of a bench, with where the figures come from. Only ever appended to."""

from __future__ import annotations

import fcntl
import json
import os
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from seedtune.runtime.errors import SeedTuneError


@dataclass(frozen=True, kw_only=True)
class Record:
    """One line.

    Attributes:
        bench: its name.
        arguments: it was given.
        date: when it began, ISO 8601 in UTC.
        commit: see :func:`lab.machine.commit`.
        machine: see :func:`lab.machine.machine`, as the bench began.
        versions: see :func:`lab.machine.versions`.
        result: what the bench printed as its last line.
    """

    bench: str
    arguments: list[str]
    date: str
    commit: str
    machine: dict[str, Any]
    versions: dict[str, str]
    result: dict[str, Any]


def append(file: Path, record: Record) -> None:
    """Adds a line to ``file``, the whole of it or nothing.

    Raises:
        SeedTuneError: it cannot be written.
    """
    line = (json.dumps(asdict(record), ensure_ascii=False) + "\n").encode()
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        with file.open("ab", buffering=0) as opened:
            # Another bench may end at the same time.
            fcntl.flock(opened, fcntl.LOCK_EX)
            before = os.fstat(opened.fileno()).st_size
            try:
                written = 0
                while written < len(line):
                    written += opened.write(line[written:])
                os.fsync(opened.fileno())
            except BaseException:
                opened.truncate(before)
                raise
    except OSError as error:
        raise SeedTuneError(
            f"the measurement cannot be recorded ({error.strerror})", file=file, remedy="free space, or use --no-record"
        ) from error


def read(file: Path) -> list[Record]:
    """Every line of ``file``, the oldest first; none where there is no file.

    Raises:
        SeedTuneError: a line is no record.
    """
    text = file.read_text("utf-8") if file.exists() else ""
    return [_record(line, f"{file}:{number}") for number, line in enumerate(text.splitlines(keepends=True), start=1)]


def without_folders(found: Any) -> Any:
    """``found`` with the last part only of every text that is an absolute path: nobody else has these folders."""
    if isinstance(found, str):
        return Path(found).name if found.startswith("/") else found
    if isinstance(found, dict):
        return {name: without_folders(value) for name, value in found.items()}
    return [without_folders(value) for value in found] if isinstance(found, list) else found


def newest(records: list[Record]) -> list[Record]:
    """The last record of each list of arguments, in the order in which these first came up."""
    found: dict[tuple[str, ...], Record] = {}
    for record in records:
        found[tuple(record.arguments)] = record
    return list(found.values())


def _record(line: str, place: str) -> Record:
    names = [field.name for field in fields(Record)]
    try:
        found = json.loads(line)
    except ValueError:
        found = None
    if not isinstance(found, dict) or found.keys() != set(names) or not line.endswith("\n"):
        raise SeedTuneError(
            "the line is no measurement",
            file=place,
            value=line.rstrip("\n"),
            rule=f"JSON with {', '.join(names)}",
        )
    return Record(**found)
