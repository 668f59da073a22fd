"""The fixture of a RUN folder for the tests of reports."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from synthetic_run import synthetic_run

WriteRun = Callable[..., Path]


@pytest.fixture
def write_run(tmp_path: Path) -> WriteRun:
    """Writes a run, by the keywords of :func:`synthetic_run`."""
    return lambda **options: synthetic_run(tmp_path / "run", **options)
