"""A task file is checked when it is loaded."""

from __future__ import annotations

from pathlib import Path

import pytest

from seedtune.runtime.errors import SeedTuneError
from seedtune.runtime.task.definition import load_task, parse_task

GOOD = """\
name = "t"
kind = "classification"
template = "{text} says"
[[labels]]
value = "0"
word = " no"
[[labels]]
value = "1"
word = " yes"
"""
MASKED = '[masked]\ntemplate = "{text} {mask}"\nwords = { "0" = " bad" }\n'


def test_masked_override_changes_words_but_not_names() -> None:
    task = parse_task(GOOD + MASKED, "f").for_family("masked")
    assert [(label.word, label.name) for label in task.labels] == [(" bad", "no"), (" yes", "yes")]


def test_task_file_may_begin_with_a_byte_order_mark_but_must_be_utf8(tmp_path: Path) -> None:
    path = tmp_path / "t.toml"
    path.write_bytes(b"\xef\xbb\xbf" + GOOD.replace("\n", "\r\n").encode())
    assert load_task(str(path)) == parse_task(GOOD, "f")
    path.write_bytes(b'name = "\xff"')
    with pytest.raises(SeedTuneError, match="not UTF-8"):
        load_task(str(path))
