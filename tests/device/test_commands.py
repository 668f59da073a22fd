"""`seedtune device` as it is typed, with a run that is only written: what is said, what --json has, refusals."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from standin_app import WritingApp
from standin_phone import StandIn

from seedtune.runtime.device.adb.command_line import CommandLineAdb
from seedtune.runtime.errors import SeedTuneError

Typed = Callable[..., Any]


def furnish(standin: StandIn) -> WritingApp:
    """A bundle and rows on the phone, in name."""
    (standin.files / "bundles" / "tiny").mkdir(parents=True)
    (standin.files / "data").mkdir(parents=True)
    (standin.files / "data" / "train.jsonl").write_text("{}\n")
    assert isinstance(standin.app, WritingApp)
    standin.app.steps = 60
    return standin.app


def test_a_run_is_started_followed_and_shown(typed: Typed, for_commands: StandIn) -> None:
    phone_app = furnish(for_commands)
    done = typed("train", "tiny", "--train", "train.jsonl", "--steps", 60, "--estimator", "two-sided", "--out", "here")
    assert (done["steps"], done["run"], done["telemetry"]["missing"]) == (60, "tiny-train", 0)
    assert "done after 60 steps" in done["said"]
    _, extras = phone_app.heard[-1]
    assert extras["--es estimator"] == "two_sided"
    assert extras["--ei steps"] == "60"
    run = for_commands.files / "runs" / "tiny-train"
    assert Path("here/journal.bin").read_bytes() == (run / "journal.bin").read_bytes()
    info = json.loads(Path("here/phone.json").read_text())
    assert for_commands.serial not in json.dumps(info)
    status = typed("status")
    assert status["runs"] == [
        {"run": "tiny-train", "step": 60, "steps": 60, "loss": pytest.approx(0.64), "ended": "done"}
    ]
    assert typed("pull", "tiny-train", "--out", "here")["fresh"] == []


def test_a_run_is_left_alone_stopped_and_gone_on_with(typed: Typed, for_commands: StandIn) -> None:
    phone_app = furnish(for_commands)
    phone_app.hold_at = 20
    assert typed("train", "tiny", "--train", "train.jsonl", "--run", "r", "--detach")["run"] == "r"
    threading.Timer(1.0, lambda: typed("stop")).start()
    stopped = typed("follow", "--out", "here")
    assert (stopped["interrupted"], stopped["steps"]) == (True, 20)
    assert "seedtune device resume r" in stopped["said"]
    phone_app.hold_at = None
    resumed = typed("resume", "r", "--out", "here")
    assert (resumed["interrupted"], resumed["steps"]) == (False, 60)
    started = [extras for action, extras in phone_app.heard if action.endswith(".START")]
    assert started[-1] == {"--es run": "r"}
    assert len(Path("here/steps.jsonl").read_text().splitlines()) == 60


def test_the_phone_is_listed_and_looked_at(typed: Typed, for_commands: StandIn) -> None:
    (phone,) = typed("list")["phones"]
    assert (phone["serial"], phone["model"], phone["problem"]) == (for_commands.serial, "SeedTune Stand-in", "")
    assert phone["battery_percent"] == 81
    found = {finding["name"]: finding for finding in typed("doctor")["findings"]}
    assert found["background"]["status"] == "note"
    assert "straight from the shell" in found["the app's files"]["found"]
    (for_commands.root / "data" / "app" / "base.apk").unlink()
    found = {finding["name"]: finding for finding in typed("doctor", code=2)["findings"]}
    assert found["app"]["advice"] == "seedtune device install"
    for_commands.switch_off()
    found = {finding["name"]: finding for finding in typed("doctor", code=2)["findings"]}
    assert found["cable and permission"]["status"] == "missing"


@pytest.mark.parametrize(
    ("words", "what"),
    [
        (("train", "other", "--train", "train.jsonl"), "no such bundle on the phone"),
        (("train", "tiny", "--train", "rows.jsonl"), "no such file of rows"),
        (("train", "tiny", "--train", "train.jsonl", "--run", "../x"), "not the name"),
        (("train", "tiny", "--train", "train.jsonl", "--memory-limit", "much"), "not a size"),
        (("follow",), "no run on the phone"),
        (("follow", "absent"), "no such run"),
        (("resume", "absent"), "no such run"),
        (("pull", "absent"), "no such run"),
        (("pull", "tiny", "--serial", "nobody"), "not connected"),
        (("pull", "tiny", "--user", "10"), "not installed"),
        (("install", "absent.apk"), "no such APK"),
        (("install",), "no APK to install"),
        (("push", "absent"), "no such bundle folder"),
        (("memory", "absent"), "no such folder"),
    ],
)
def test_what_cannot_be_is_refused_by_name(
    typed: Typed, for_commands: StandIn, words: tuple[str, ...], what: str
) -> None:
    furnish(for_commands)
    with pytest.raises(SeedTuneError, match=what) as refused:
        typed(*words)
    assert "remedy" in str(refused.value)


def test_two_phones_and_no_choice(typed: Typed, for_commands: StandIn, adb: CommandLineAdb, tmp_path: Path) -> None:
    with StandIn(tmp_path / "second") as second:
        adb.run(["connect", second.serial])
        try:
            assert len(typed("list")["phones"]) == 2
            with pytest.raises(SeedTuneError, match="several phones"):
                typed("status")
            assert typed("status", "--serial", for_commands.serial)["runs"] == []
        finally:
            adb.run(["disconnect", second.serial])
