"""A journal of five steps."""

from __future__ import annotations

from pathlib import Path

import pytest
from journal_lab import HEADER, RECORDS

from seedtune.runtime.journal.file import JournalWriter


@pytest.fixture
def path(tmp_path: Path) -> Path:
    file = tmp_path / "journal.bin"
    with JournalWriter.create(file, HEADER) as writer:
        for record in RECORDS:
            writer.append([record])
    return file
