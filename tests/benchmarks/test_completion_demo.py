"""The completion demo: which entries become rows, that parts share no word, and that its task is one for its rows."""

from __future__ import annotations

from pathlib import Path

import pytest

from completion_demo import definitions
from completion_demo.demo import TASK
from seedtune.runtime.task.definition import load_task

ENTRIES = [
    "Absent, adj.: Exposed to the attacks of friends and acquaintances. -- Ambrose Bierce",
    "Beauty: What's in your eye when you have a bee in your hand.",
    "absent, n: A second saying about a word that is there already.",
    "QOTD: A saying that is somebody's, and explains no word at all.",
    "667: The neighbor of the beast, as numbers are no words.",
    "Short: too short.",
    "A sentence without a colon is no entry, however long it may be.",
    "Long: " + "much " * 60,
]


def test_entries_are_words_with_something_short_behind_them_once_each_without_who_said_it() -> None:
    assert definitions.definitions(ENTRIES) == [
        {"word": "Absent", "definition": "Exposed to the attacks of friends and acquaintances."},
        {"word": "Beauty", "definition": "What's in your eye when you have a bee in your hand."},
    ]


def test_parts_share_no_word_and_are_the_same_each_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    syllables = ("ba", "ke", "di", "lo", "mu")
    words = [a + b + c + d for a in syllables for b in syllables for c in syllables for d in syllables]
    entries = [f"{word.title()}, n.: What nobody would call {word} when asked." for word in words]
    monkeypatch.setattr(definitions, "package_file", lambda *_: tmp_path / "unread.whl")
    monkeypatch.setattr(definitions, "sayings", lambda _: {definitions.FILE: entries})
    once = {name: path.read_text().splitlines() for name, path in definitions.write_splits(tmp_path / "a").items()}
    again = {name: path.read_text().splitlines() for name, path in definitions.write_splits(tmp_path / "b").items()}
    assert once == again
    assert {name: len(once[name]) for name in definitions.SIZES} == definitions.SIZES
    rows = [row for part in once.values() for row in part]
    assert len(rows) == len(set(rows)) == len(words)


def test_its_task_reads_the_columns_of_its_rows() -> None:
    task = load_task(str(TASK))
    assert task.kind == "completion"
    assert "{word}" in task.template
    assert "{definition}" in task.response
