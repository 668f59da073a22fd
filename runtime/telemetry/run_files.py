"""Reads what a RUN folder says of itself."""

from __future__ import annotations

from pathlib import Path
from typing import TypeVar

import msgspec

from seedtune.runtime.decoding import read_plain_file
from seedtune.runtime.errors import SeedTuneError
from seedtune.runtime.telemetry.records import FORMAT_VERSION, RUN_FILE, RunDescription

Record = TypeVar("Record")


class _Version(msgspec.Struct):
    format_version: int


def read_description(folder: Path) -> RunDescription:
    """run.json of the RUN folder ``folder``.

    Raises:
        SeedTuneError: it is missing, damaged, or of another format.
    """
    path = folder / RUN_FILE
    # The version first: a newer format may have changed any other field.
    version = read_json(path, _Version).format_version
    if version > FORMAT_VERSION:
        raise SeedTuneError(
            "the run was written by a newer SeedTune",
            file=path,
            value=version,
            rule=f"format_version is at most {FORMAT_VERSION}",
            remedy="pip install --upgrade seedtune",
        )
    if version < 1:
        raise SeedTuneError(
            "there is no such format_version",
            file=path,
            value=version,
            rule=f"format_version is from 1 to {FORMAT_VERSION}",
            remedy="restore the file from where it was copied",
        )
    return read_json(path, RunDescription)


def read_json(path: Path, record_type: type[Record]) -> Record:
    """The JSON file at ``path`` as a ``record_type``.

    Raises:
        SeedTuneError: it cannot be read, or is no such record.
    """
    content = read_plain_file(path, "the file", "check the file and its permissions")
    try:
        # As text: what stands in a field that is not asked for would otherwise not have to be any.
        return msgspec.json.decode(content.decode("utf-8"), type=record_type)
    except (ValueError, RecursionError) as error:
        raise SeedTuneError(
            f"the file is damaged: {error}",
            file=path,
            value=content[:200].decode("utf-8", "replace"),
            remedy="copy the run folder again; if it was edited by hand, undo that",
        ) from error
