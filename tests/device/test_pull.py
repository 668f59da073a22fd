"""Runs that do not begin, and runs fetched as a whole."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import pytest
from follow_lab import app_of, followed, start
from standin_phone import StandIn

from seedtune.runtime.device.app.access import Access
from seedtune.runtime.device.app.request import Request
from seedtune.runtime.device.files.mirror import Mirror
from seedtune.runtime.device.files.pull import pull
from seedtune.runtime.device.watch.process import read_log
from seedtune.runtime.errors import SeedTuneError


def test_a_run_that_does_not_begin_says_what_the_app_says(access: Access, standin: StandIn, tmp_path: Path) -> None:
    standin.log.append("11-26 10:00:00.000 E/SeedTune( 99): an older failure")
    before = read_log(access)
    standin.app = None

    def fail() -> None:
        time.sleep(0.4)
        standin.log.append("11-26 10:00:05.000 E/SeedTune( 99): there is no such file \x1b[31mtrain.jsonl")

    threading.Thread(target=fail).start()
    with pytest.raises(SeedTuneError, match="did not begin") as refused:
        followed(access, tmp_path / "run", log_before=before)
    assert "no such file" in str(refused.value)
    assert "older failure" not in str(refused.value)
    assert "\x1b" not in str(refused.value)


def test_pull_brings_the_rest_and_verifies_it(access: Access, standin: StandIn, tmp_path: Path) -> None:
    run = start(standin, access, steps=50)
    app_of(standin).wait()
    (run / "states").mkdir()
    (run / "states" / "000050.safetensors").write_bytes(bytes(range(256)) * 40_000)
    (run / "contexts").mkdir()
    (run / "contexts" / "private.contexts").write_bytes(b"x")
    done = pull(access, "first", Mirror(tmp_path / "run"))
    for name in ("journal.bin", "run.json", "steps.jsonl", "result.json", "states/000050.safetensors"):
        assert (tmp_path / "run" / name).read_bytes() == (run / name).read_bytes(), name
    assert not (tmp_path / "run" / "contexts").exists()
    assert {"exits.txt", "meminfo.txt", "logcat.txt"} <= {path.name for path in (tmp_path / "run").iterdir()}
    assert done.growing == ()
    again = pull(access, "first", Mirror(tmp_path / "run"))
    assert (again.fresh, again.bytes_read) == ((), 0)
    # Damaged here: fetched again, and what was there is kept beside.
    (tmp_path / "run" / "journal.bin").write_bytes(b"y" * (run / "journal.bin").stat().st_size)
    assert pull(access, "first", Mirror(tmp_path / "run")).fresh == ("journal.bin",)
    assert (tmp_path / "run" / "journal.bin").read_bytes() == (run / "journal.bin").read_bytes()
    with pytest.raises(SeedTuneError, match="no such run") as refused:
        pull(access, "second", Mirror(tmp_path / "other"))
    assert "first" in str(refused.value)


def test_a_request_names_no_file_elsewhere() -> None:
    for name in ("../x", "a/b", ""):
        with pytest.raises(SeedTuneError, match="not the name"):
            Request(bundle=name, train="t.jsonl", run="r").command()
    # A name is one word of the shell, whatever stands in it.
    command = Request(bundle="b; reboot", train="$(t).jsonl", run="r's").command()
    assert "'b; reboot'" in command
    assert "'$(t).jsonl'" in command
