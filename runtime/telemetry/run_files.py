"""Reads what a RUN folder says of itself."""

from __future__ import annotations

from pathlib import Path

import msgspec

from seedtune.runtime.errors import SeedTuneError
from seedtune.runtime.telemetry.records import RUN_FILE, RunDescription


def read_description(path: Path) -> RunDescription:
    """run.json of the RUN folder ``path``.

    Raises:
        SeedTuneError: it is missing or damaged.
    """
    file = path / RUN_FILE
    try:
        return msgspec.json.decode(file.read_bytes(), type=RunDescription)
    except OSError as error:
        raise SeedTuneError(f"the run's description cannot be read ({error.strerror})", file=file) from error
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise SeedTuneError(f"the run's description is damaged ({error})", file=file) from error
