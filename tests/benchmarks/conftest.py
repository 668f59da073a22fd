"""A project with benches of its own."""

from __future__ import annotations

from pathlib import Path

import pytest
from bench_lab import Project


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """Benches that take no time, and what the real runner makes of them."""
    return Project.made_in(tmp_path)
