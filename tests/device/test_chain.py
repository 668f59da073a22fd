"""The whole chain with nothing made up but the phone's shell: install, push, tune, follow, pull, report, by real adb.

Behind the stand-in's `am` is the installed APK: its own bytecode and ONNX Runtime's libraries for Android, in
Robolectric's framework. What is compared at the end is the same run made here by Python.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from standin_java import Built, JavaApp, build
from standin_phone import StandIn

import seedtune as front_door
from lab.android.tools import ToolError
from seedtune.runtime.journal.file import read_journal
from seedtune.runtime.model.replaying import open_recorded

pytestmark = pytest.mark.timeout(1500)
Command = Callable[..., "subprocess.CompletedProcess[str]"]
Typed = Callable[..., dict[str, Any]]


@pytest.fixture(scope="session")
def built() -> Built:
    """The APK, and what runs it."""
    if shutil.which("mvn") is None:
        pytest.skip("Maven is not installed: the app is neither built nor run")
    try:
        made = build()
    except ToolError as error:
        pytest.skip(f"no laboratory for APKs: {error}")
    return made or pytest.skip("ONNX Runtime for Android cannot be had: the app cannot tune")


@pytest.fixture
def bare(for_commands: StandIn, built: Built) -> StandIn:
    """A phone without the app, on which the real one runs once it is installed."""
    shutil.rmtree(for_commands.root / "data" / "app")
    for_commands.properties["ro.product.cpu.abilist"] = "x86_64"
    for_commands.app = JavaApp(built, for_commands.files, for_commands.publish, for_commands.log)
    for_commands.publish()
    return for_commands


def done(process: subprocess.CompletedProcess[str]) -> dict[str, object]:
    assert process.returncode == 0, process.stderr
    fields = json.loads(process.stdout.splitlines()[-1])
    assert isinstance(fields, dict)
    return fields


def test_export_install_push_train_follow_pull_report(
    bare: StandIn, built: Built, suffix_bundle: Path, tiny_data: SimpleNamespace, seedtune: Command, tmp_path: Path
) -> None:
    refused = seedtune("device", "push", suffix_bundle)
    assert refused.returncode == 2
    assert "the app is not installed" in refused.stderr

    installed = done(seedtune("device", "install", built.apk, "--unrestricted", "--json"))
    assert installed["unrestricted"] is True
    files = ["--data", tiny_data.train, "--data", tiny_data.eval]
    pushed = done(seedtune("device", "push", suffix_bundle, "--name", "tiny", *files, "--json"))
    assert len(pushed["sent"]) > 5  # type: ignore[arg-type]

    train = ["device", "train", "tiny", "--train", "train.jsonl", "--eval", "eval.jsonl", "--run", "first"]
    settings = ["--steps", 40, "--batch-size", 8, "--seed", 3, "--learning-rate", 0.02]
    out = tmp_path / "first"
    trained = done(seedtune(*train, *settings, "--out", out, "--json", timeout=240))
    assert (trained["steps"], trained["interrupted"]) == (40, False)
    told = trained["telemetry"]
    assert isinstance(told, dict)
    assert told["lines"] >= 1
    assert (told["missing"], told["doubled"]) == (0, 0)

    # What lies here is what lies there, and it is the run that Python makes: same rows, same noise, losses to 1e-6.
    there = bare.files / "runs" / "first"
    for name in ("journal.bin", "steps.jsonl", "evaluations.jsonl", "run.json", "result.json", "start.safetensors"):
        assert (out / name).read_bytes() == (there / name).read_bytes(), name
    with front_door.open(suffix_bundle, threads=1) as model:
        tuning = model.tune(
            tiny_data.train, tiny_data.eval, out=tmp_path / "here", steps=40, batch_size=8, seed=3, learning_rate=0.02
        )
        for _event in tuning:
            pass
    ours, theirs = (read_journal(folder / "journal.bin").records for folder in (tmp_path / "here", out))
    assert len(ours) == len(theirs) == 40
    for name in ("loss_plus", "loss_minus", "coefficient"):
        np.testing.assert_allclose(theirs[name], ours[name], atol=1e-5)
    # Sixteen bytes a step are the tuned state, on another machine to the bit.
    replayed = (
        "replay",
        out,
        "--bundle",
        suffix_bundle,
        "--until",
        40,
        "--out",
        tmp_path / "state.safetensors",
        "--json",
    )
    told_there = json.loads((there / "result.json").read_text())
    assert done(seedtune(*replayed))["state_sha256"] == told_there["state_sha256"]

    page = done(seedtune("report", out, "--json"))
    assert 0 < int(str(page["size_bytes"])) < 3_000_000
    html = (out / "report.html").read_text("utf-8")
    assert "SeedTune Stand-in, Android 14" in html
    compared = done(seedtune("report", out, tmp_path / "here", "--out", tmp_path / "both.html", "--json"))
    assert {Path(name).suffix for name in compared["files"]} == {".html", ".md", ".tex", ".csv", ".png", ".svg"}  # type: ignore[attr-defined]
    table = done(seedtune("device", "memory", out, tmp_path / "here", "--out", tmp_path / "table", "--json"))
    peak = re.search(r'"peak RssAnon, MB": {"value": "([0-9.,]+)", "read_from": "telemetry-', json.dumps(table))
    assert peak
    assert float(peak[1].replace(",", "")) > 20


def test_a_killed_app_goes_on_to_the_same_journal(
    bare: StandIn, built: Built, suffix_bundle: Path, tiny_data: SimpleNamespace, typed: Typed, tmp_path: Path
) -> None:
    typed("install", built.apk, "--restricted")
    typed("push", suffix_bundle, "--name", "tiny", "--data", tiny_data.train)
    settings = ["--steps", 30, "--batch-size", 8, "--seed", 3]
    # The whole run first, for what must come out.
    whole = ["train", "tiny", "--train", "train.jsonl", "--run", "whole", *settings]
    typed(*whole, "--out", tmp_path / "whole")
    # Killed and cut off in mid-run: the system starts it again, and it goes on from its journal.
    typed("train", "tiny", "--train", "train.jsonl", "--run", "cut", *settings, "--detach")
    app = bare.app
    assert isinstance(app, JavaApp)
    wait_for_steps(bare, "cut")
    app.kill()
    bare.cut()
    app.again()
    assert typed("follow", "cut", "--out", tmp_path / "cut")["steps"] == 30
    assert (tmp_path / "cut" / "journal.bin").read_bytes() == (tmp_path / "whole" / "journal.bin").read_bytes()


def test_a_stopped_run_is_resumed_with_everything_it_was_begun_with(
    bare: StandIn, built: Built, suffix_bundle: Path, tiny_data: SimpleNamespace, typed: Typed, tmp_path: Path
) -> None:
    typed("install", built.apk, "--restricted")
    typed("push", suffix_bundle, "--name", "tiny", "--data", tiny_data.train)
    settings = ["--steps", 1500, "--batch-size", 8, "--seed", 3, "--threads", 1, "--memory-limit", "700M"]
    typed("train", "tiny", "--train", "train.jsonl", "--run", "r", *settings, "--detach")
    wait_for_steps(bare, "r")
    typed("stop")
    stopped = typed("follow", "r", "--out", tmp_path / "r")
    assert stopped["interrupted"] is True
    assert typed("resume", "r", "--out", tmp_path / "r")["steps"] == 1500
    there = bare.files / "runs" / "r"
    asked = json.loads(json.loads((there / "app.json").read_text())["request"])
    assert (asked["threads"], asked["memory_limit"]) == (1, 700_000_000)
    ended = json.loads((there / "result.json").read_text())
    assert ended["memory_limit_bytes"] == 700_000_000
    assert open_recorded(tmp_path / "r", suffix_bundle, 1500).state.sha256() == ended["state_sha256"]


def wait_for_steps(phone: StandIn, run: str) -> None:
    """Until the run has made two steps; fails where the app's process has ended."""
    steps = phone.files / "runs" / run / "steps.jsonl"
    app = phone.app
    assert isinstance(app, JavaApp)
    while not steps.exists() or len(steps.read_bytes().splitlines()) < 2:
        assert app.pid, app.said[-20:]
        time.sleep(0.01)
