"""A task for data files, and a file of given content."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from seedtune.runtime.task.definition import Task, parse_task

TEXT = """\
name = "t"
kind = "classification"
template = "{text} is"
max_characters = 100000
label_field = "label"
labels = [
    { value = "0", name = "negative", word = " bad" },
    { value = "1", name = "positive", word = " good" },
]
"""


@pytest.fixture
def task() -> Task:
    """One field, ``text``; labels 0 negative and 1 positive."""
    return parse_task(TEXT, "test")


@pytest.fixture
def write(tmp_path: Path) -> Callable[[str, bytes | str], Path]:
    """Writes a file of that name."""

    def give(name: str, content: bytes | str) -> Path:
        path = tmp_path / name
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return path

    return give
