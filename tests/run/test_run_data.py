"""Where the rows of a run come from: pipes, which cannot be found again, and rows that both splits have."""

from __future__ import annotations

import json
import os
import shutil
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace

import pytest
from run_lab import Tune, journal_bytes

from seedtune.runtime.errors import SeedTuneError
from seedtune.runtime.telemetry.events import Event, Notice


@contextmanager
def standard_input(monkeypatch: pytest.MonkeyPatch, path: Path) -> Iterator[None]:
    with path.open() as file, monkeypatch.context() as patch:
        patch.setattr(sys, "stdin", file)
        yield


def test_a_run_on_standard_input_is_that_on_the_file_and_goes_on_with_the_same_rows_only(
    whole: SimpleNamespace,
    tune_tiny: Tune,
    stop_when: Callable,
    tiny_data: SimpleNamespace,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    out = tmp_path / "run"
    with standard_input(monkeypatch, tiny_data.train):
        tune_tiny(out, train="-", stop=stop_when(3))
    recorded = json.loads((out / "run.json").read_text())["data"]["train"]
    expected = json.loads((whole.path / "run.json").read_text())["data"]["train"]
    assert recorded == expected | {"path": "-"}
    with pytest.raises(SeedTuneError, match="came from standard input") as caught:
        tune_tiny(out, resume=True)
    assert recorded["sha256"] in str(caught.value)
    with pytest.raises(SeedTuneError, match="another training data"), standard_input(monkeypatch, tiny_data.eval):
        tune_tiny(out, resume=True, train="-")
    with standard_input(monkeypatch, tiny_data.train):
        tune_tiny(out, resume=True, train="-")
    assert journal_bytes(out) == journal_bytes(whole.path)


def test_a_run_on_a_pipe_does_not_wait_for_it_when_it_is_resumed(
    tune_tiny: Tune, stop_when: Callable, tiny_data: SimpleNamespace, tmp_path: Path
) -> None:
    pipe = tmp_path / "rows.jsonl"
    os.mkfifo(pipe)
    writer = threading.Thread(target=pipe.write_bytes, args=(tiny_data.train.read_bytes(),))
    writer.start()
    tune_tiny(tmp_path / "run", train=pipe, held_out=None, stop=stop_when(2))
    writer.join(timeout=10)
    with pytest.raises(SeedTuneError, match="are not where they were") as caught:
        tune_tiny(tmp_path / "run", resume=True)
    assert "--train" in str(caught.value)
    result = tune_tiny(tmp_path / "run", resume=True, train=tiny_data.train)
    assert result.steps == 8


def test_one_pipe_cannot_give_both_splits(tune_tiny: Tune, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "rows.jsonl")
    for pipe in ("-", tmp_path / "rows.jsonl"):
        with pytest.raises(SeedTuneError, match="read only once"):
            tune_tiny(tmp_path / "run", train=pipe, held_out=pipe)


def test_rows_that_both_splits_have_are_told_once_and_none_is_not_told(
    tune_tiny: Tune, tiny_data: SimpleNamespace, tmp_path: Path
) -> None:
    def told(train: Path, held_out: Path, out: str) -> list[str]:
        events: list[Event] = []
        tune_tiny(tmp_path / out, train=train, held_out=held_out, steps=1, prepare=events.append)
        return [event.text for event in events if isinstance(event, Notice) and "gain over" not in event.text]

    (notice,) = told(tiny_data.eval, tiny_data.eval, "same")
    assert notice.startswith("24 of 24 held-out rows (100.0%) are training rows too")
    other = tmp_path / "other.jsonl"
    other.write_text('{"text": "a very fine film", "label": 1}\n')
    assert told(tiny_data.train, other, "other") == []


def test_how_a_table_was_read_is_told(tune_tiny: Tune, tmp_path: Path) -> None:
    table = tmp_path / "x.tsv"
    table.write_text('text\tlabel\n"a bad film\t0\na great song\t1\n')
    events: list[Event] = []
    tune_tiny(tmp_path / "run", train=table, held_out=None, steps=1, prepare=events.append)
    (notice,) = [event.text for event in events if isinstance(event, Notice)]
    assert "2 rows from 3 lines" in notice


def test_paths_that_run_json_cannot_name_are_refused_before_anything_is_made(
    tune_tiny: Tune, tiny_data: SimpleNamespace, tiny_bundle: Path, tmp_path: Path
) -> None:
    strange = Path(os.fsdecode(os.fsencode(tmp_path) + b"/x\xff"))
    strange.mkdir()
    shutil.copy(tiny_data.train, strange / "train.jsonl")
    bundle = Path(shutil.copytree(tiny_bundle, strange / "bundle"))
    for change in ({"train": strange / "train.jsonl"}, {"bundle": bundle}, {"out": strange / "run"}):
        with pytest.raises(SeedTuneError, match="not UTF-8"):
            tune_tiny(**({"out": tmp_path / "run"} | change))
    assert not (strange / "run").exists()
