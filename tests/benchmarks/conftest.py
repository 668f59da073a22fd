"""A project with benches of its own, and a task for the methods of the accuracy bench."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from bench_lab import Project

if TYPE_CHECKING:
    from lab.accuracy.method import Prepared

THINGS = ("film", "song", "book")
WORDS = {"0": ("awful", "boring", "dull", "bad"), "1": ("lovely", "great", "bright", "good")}


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """Benches that take no time, and what the real runner makes of them."""
    return Project.made_in(tmp_path)


@pytest.fixture(scope="session")
def accuracy_task(tiny_checkpoint: Path, tiny_task_file: Path, tmp_path_factory: pytest.TempPathFactory) -> Prepared:
    """32 rows to learn from, 12 to choose by, 12 to measure on, for a model of two layers; methods leave it so."""
    from lab.accuracy.corpora import Corpus, Sizes, parted
    from lab.accuracy.language_model import LanguageModel
    from lab.accuracy.method import Prepared
    from seedtune.runtime.task.definition import load_task

    rows = [
        {"text": f"{one} {thing} {other}", "label": label}
        for label, words in WORDS.items()
        for one in words
        for other in words
        for thing in THINGS
    ]
    parts = {"train": rows[::2], "validation": rows[1::4], "test": rows[3::4]}
    task = load_task(str(tiny_task_file))
    corpus = Corpus("tiny", str(tiny_task_file), task, parted(parts, Sizes(32, 12, 12)))
    folder = tmp_path_factory.mktemp("accuracy") / "frozen"
    return Prepared(corpus, LanguageModel.opened(str(tiny_checkpoint)), (0, 1), folder, str(tiny_checkpoint))
