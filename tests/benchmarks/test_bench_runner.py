"""The runner passes a bench through and keeps its figures whole, with where they come from, or keeps nothing."""

from __future__ import annotations

import json
import os
import platform
import resource
import subprocess
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from pathlib import Path

import pytest
from bench_lab import Project

from lab.records import Record, append, newest, read, without_folders
from seedtune.runtime.errors import SeedTuneError


def test_the_last_line_is_kept_with_its_provenance(project: Project) -> None:
    ran = project.call("count", "a", "b c")
    assert ran.returncode == 0, ran.stderr
    first, last = ran.stdout.splitlines()
    assert first == "before the last line"
    assert "aside" in ran.stderr
    (line,) = project.lines("count")
    assert line["result"] == json.loads(last)
    assert line["result"]["count"] == 2
    assert line["result"]["figures"] == [["count", "2", "<= 3"]]
    assert (line["bench"], line["arguments"]) == ("count", ["a", "b c"])
    assert datetime.fromisoformat(line["date"]).utcoffset() is not None
    assert line["commit"] == "unknown"
    assert line["machine"]["cores"] == os.cpu_count()
    assert line["machine"]["memory_bytes"] > 0
    assert line["versions"]["python"] == platform.python_version()
    assert {"seedtune", "onnxruntime"} <= line["versions"].keys()


def test_lines_are_appended(project: Project) -> None:
    project.call("count")
    before = project.file("count").read_bytes()
    project.call("count", "a")
    assert project.file("count").read_bytes().startswith(before)
    assert [line["result"]["count"] for line in project.lines("count")] == [0, 1]


def test_a_bench_that_fails_keeps_nothing_and_its_exit_code(project: Project) -> None:
    ran = project.call("fail")
    assert ran.returncode == 1
    assert "out of luck" in ran.stderr
    assert ran.stdout == '{"count": 1}\n'
    assert not project.file("fail").exists()


def test_a_bench_without_figures_is_an_error_and_keeps_nothing(project: Project) -> None:
    ran = project.call("mute")
    assert ran.returncode == 2
    assert "ended without its figures" in ran.stderr
    assert not project.file("mute").exists()


@pytest.mark.parametrize("arguments", [("--no-record", "count", "a"), ("count", "--no-record", "a")])
def test_no_record_stands_before_or_behind_the_name_and_is_not_the_benchs(
    project: Project, arguments: tuple[str, ...]
) -> None:
    ran = project.call(*arguments)
    assert json.loads(ran.stdout.splitlines()[-1])["things"] == ["a"]
    assert not project.file("count").exists()


def test_what_follows_two_dashes_is_the_benchs(project: Project) -> None:
    project.call("count", "a", "--", "--no-record")
    assert [line["result"]["things"] for line in project.lines("count")] == [["a", "--no-record"]]


def test_a_bench_tells_how_it_is_used_and_what_must_hold(project: Project) -> None:
    ran = project.call("count", "--help")
    assert ran.returncode == 0
    assert "usage: python scripts/bench count" in ran.stdout
    assert "count: <= 3" in ran.stdout
    assert not project.file("count").exists()


def test_an_unknown_bench_is_refused_with_a_guess(project: Project) -> None:
    ran = project.call("cuont")
    assert ran.returncode == 2
    assert "did you mean count?" in ran.stderr


@pytest.mark.parametrize("damage", ['{"bench": "count"}\n', '{"bench', "[]\n"])
def test_a_damaged_file_is_found_before_the_measurement(project: Project, damage: str) -> None:
    project.call("count")
    with project.file("count").open("a") as file:
        file.write(damage)
    before = project.file("count").read_bytes()
    ran = project.call("count")
    assert ran.returncode == 2
    assert "count.jsonl:2" in ran.stderr
    assert ran.stdout == ""
    assert project.file("count").read_bytes() == before


def test_a_full_disk_leaves_no_part_of_a_line(project: Project) -> None:
    project.call("count")
    before = project.file("count").read_bytes()

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (len(before) + 10, len(before) + 10))

    ran = project.call("count", preexec_fn=limit, env=os.environ | {"PYTHONDONTWRITEBYTECODE": "1"})
    assert ran.returncode == 2
    assert "cannot be recorded" in ran.stderr
    assert json.loads(ran.stdout.splitlines()[-1])["count"] == 0
    assert project.file("count").read_bytes() == before


def test_the_commit_says_whether_code_differs_from_it(project: Project) -> None:
    def git(*arguments: str) -> str:
        identity = ["-c", "user.name=nobody", "-c", "user.email=nobody@localhost"]
        return subprocess.run(
            ["git", "-C", str(project.root), *identity, *arguments], capture_output=True, text=True, check=True
        ).stdout.strip()

    (project.root / "code.py").touch()
    project.page.touch()
    git("init", "--quiet")
    git("add", "--all")
    git("commit", "--quiet", "--message", "first")
    head = git("rev-parse", "HEAD")
    project.call("count")
    project.page.write_text("words")
    project.call("count")
    (project.root / "code.py").write_text("changed = True")
    project.call("count")
    clean, documented, changed = (line["commit"] for line in project.lines("count"))
    assert head.startswith(clean)
    assert documented == clean
    assert changed == f"{clean}-changed"


def record(*arguments: str, result: int = 0) -> Record:
    return Record(
        bench="any", arguments=[*arguments], date="", commit="", machine={}, versions={}, result={"value": result}
    )


def test_lines_written_at_the_same_time_stay_whole(tmp_path: Path) -> None:
    file = tmp_path / "any.jsonl"
    wanted = [record("x" * 5000, result=number) for number in range(64)]
    with ThreadPoolExecutor(8) as threads:
        list(threads.map(lambda one: append(file, one), wanted))
    assert sorted(read(file), key=lambda one: one.result["value"]) == wanted


def test_the_newest_line_of_each_list_of_arguments_counts() -> None:
    lines = [record("a", result=1), record(result=2), record("a", result=3), record("a", "b", result=4)]
    assert [one.result["value"] for one in newest(lines)] == [3, 2, 4]


def test_a_place_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(SeedTuneError, match="cannot be recorded"):
        append(tmp_path / "file" / "any.jsonl", record())


def test_what_is_kept_names_no_folder_of_the_machine() -> None:
    found = {"bundle": "/home/someone/bundle", "rows": 8, "runs": [{"out": "/x/run", "cap": None}], "option": "--a=/b"}
    assert without_folders(found) == {
        "bundle": "bundle",
        "rows": 8,
        "runs": [{"out": "run", "cap": None}],
        "option": "--a=/b",
    }
