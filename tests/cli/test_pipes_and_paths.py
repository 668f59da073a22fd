"""What the command line reads from, where it writes, and on what it prints: pipes, odd paths, odd encodings."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path
from types import SimpleNamespace

import pytest
from cli_lab import Seedtune, last_json, refused


@pytest.fixture(scope="session")
def strange(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder whose name is no text."""
    folder = Path(os.fsdecode(os.fsencode(tmp_path_factory.mktemp("paths")) + b"/x\xff"))
    folder.mkdir()
    return folder


@pytest.mark.parametrize("data_format", [None, "csv"])
def test_rows_come_from_standard_input(
    seedtune: Seedtune, tiny_bundle: Path, tiny_data: SimpleNamespace, tmp_path: Path, data_format: str | None
) -> None:
    content, options = tiny_data.eval.read_text(), []
    if data_format:
        rows = map(json.loads, content.splitlines())
        content = "text,label\n" + "".join(f"{row['text']},{row['label']}\n" for row in rows)
        options = ["--data-format", data_format]
    done = seedtune(
        "eval", tiny_bundle, "--data", "-", "--json", "--predictions", tmp_path / "p", *options, input=content
    )
    assert done.returncode == 0, done.stderr
    expected = last_json(seedtune("eval", tiny_bundle, "--data", tiny_data.eval, "--json"))
    found = last_json(done)
    assert {**found, "seconds": 0} == {**expected, "seconds": 0}
    assert len((tmp_path / "p").read_text().splitlines()) == 24


def test_predictions_are_refused_before_anything_is_evaluated(
    seedtune: Seedtune, tiny_data: SimpleNamespace, tmp_path: Path
) -> None:
    """There is not even a bundle: the path is looked at first."""
    (tmp_path / "folder").mkdir()
    for path, reason in (
        (tmp_path / "no" / "such", "No such file or directory"),
        (tmp_path / "folder", "a file is to be written, and this is none"),
        (Path("/dev/null"), "a file is to be written, and this is none"),
        (tiny_data.eval / "p", "Not a directory"),
    ):
        done = seedtune("eval", tmp_path / "bundle", "--data", tiny_data.eval, "--predictions", path)
        refused(done, f"{path}: ", reason, "remedy")
    done = seedtune("run", tmp_path / "bundle", "--train", tiny_data.eval, "--out", tiny_data.eval)
    refused(done, "this is a file, not a folder")
    assert Path("/dev/null").is_char_device()


def test_a_report_is_refused_by_its_path(seedtune: Seedtune, finished_run: SimpleNamespace, tmp_path: Path) -> None:
    done = seedtune("report", finished_run.path, "--out", tmp_path / "no" / "page.html")
    refused(done, "page.html: the file cannot be written", f"make the folder {tmp_path / 'no'}")


def test_paths_that_are_no_text_are_refused_or_work(
    seedtune: Seedtune, tiny_bundle: Path, tiny_data: SimpleNamespace, finished_run: SimpleNamespace, strange: Path
) -> None:
    shutil.copytree(tiny_bundle, strange / "bundle", dirs_exist_ok=True)
    shutil.copy(tiny_data.eval, strange / "x.jsonl")
    refused(seedtune("eval", strange / "bundle", "--data", tiny_data.eval), "this path is not UTF-8", "rename")
    refused(seedtune("run", tiny_bundle, "--train", tiny_data.train, "--out", strange / "run"), "not UTF-8")
    refused(seedtune("run", tiny_bundle, "--train", strange / "x.jsonl", "--out", strange.parent / "r"), "not UTF-8")
    done = seedtune("eval", tiny_bundle, "--data", strange / "x.jsonl", "--predictions", strange / "p", "--json")
    assert done.returncode == 0, done.stderr
    assert (strange / "p").is_file()
    pytest.importorskip("plotly")
    done = seedtune("report", finished_run.path, "--out", strange / "page.html", "--json")
    assert done.returncode == 0, done.stderr
    assert last_json(done)["report"] == str(strange / "page.html")


@pytest.mark.parametrize("encoding", ["ascii", "cp1252", "utf-8"])
def test_the_last_line_is_ascii_whatever_the_encoding_of_stdout(
    entry_point: list[str], tiny_bundle: Path, tiny_data: SimpleNamespace, tmp_path: Path, encoding: str
) -> None:
    folder = tmp_path / "bündel 映画"
    folder.mkdir()
    arguments = ["run", tiny_bundle, "--train", tiny_data.train, "--out", folder / "run", "--steps", 1, "--json"]
    done = subprocess.run(
        [*entry_point, *map(str, arguments)],
        capture_output=True,
        check=False,
        env=os.environ | {"PYTHONIOENCODING": encoding, "NO_COLOR": "1"},
    )
    assert done.returncode == 0, done.stderr
    line = done.stdout.splitlines()[-1].decode("ascii")
    assert json.loads(line)["journal"] == str(folder / "run" / "journal.bin")


@pytest.mark.parametrize("command", ["export", "run", "eval", "report", "doctor"])
def test_help_is_printed_in_ascii_too(entry_point: list[str], command: str) -> None:
    environment = os.environ | {"PYTHONIOENCODING": "ascii"}
    done = subprocess.run([*entry_point, command, "--help"], capture_output=True, check=False, env=environment)
    assert done.returncode == 0, done.stderr


def test_a_row_that_vanished_would_be_told(seedtune: Seedtune, tiny_bundle: Path, tmp_path: Path) -> None:
    (tmp_path / "x.tsv").write_text('text\tlabel\n"a bad film\t0\na great song\t1\n')
    done = seedtune("eval", tiny_bundle, "--data", tmp_path / "x.tsv")
    assert done.returncode == 0, done.stderr
    assert "2 rows from 3 lines" in done.stderr
    (tmp_path / "x.tsv").write_text('text\tlabel\n"a bad film\t0\na great song"\t1\n')
    refused(seedtune("eval", tiny_bundle, "--data", tmp_path / "x.tsv"), "x.tsv:2", "tsv-quoted or tsv-unquoted")
    done = seedtune("eval", tiny_bundle, "--data", tmp_path / "x.tsv", "--data-format", "tsv-unquoted", "--json")
    assert last_json(done)["examples"] == 2
