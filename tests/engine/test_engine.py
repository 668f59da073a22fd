"""The Kotlin engine against the Python runtime: tokens, noise, losses, journals, and runs made by both."""

from __future__ import annotations

import json
import signal
import subprocess
import xml.etree.ElementTree as ElementTree
from collections.abc import Callable
from pathlib import Path

import pytest
from apk_lab import TUNE
from golden import ENGINE
from golden_run import GoldenRun, arguments, kept_states

# Maven builds, tests and packs within the set-up of the first test, for minutes where others use the processors too.
pytestmark = pytest.mark.timeout(1500)


def test_every_test_of_the_engine_passed_over_the_golden_files(reports: dict[str, ElementTree.Element]) -> None:
    names = {name.rpartition(".")[2] for name in reports}
    written = {file.stem for file in (ENGINE / "engine" / "src" / "test").rglob("*Test.kt")}
    known = {"NoiseTest", "JournalTest", "TokenizerTest", "TuneTest", "GenerationTest", "GradientRunTest"}
    assert known <= written <= names
    written = {file.stem for file in (ENGINE / "app" / "src" / "test").rglob("*Test.kt")}
    assert {"ImporterTest", "JobTest", "ScreenTest", "TuningServiceTest"} <= written <= names
    for name, report in reports.items():
        counts = {kind: int(report.get(kind, "1")) for kind in ("errors", "failures", "skipped")}
        assert counts == {"errors": 0, "failures": 0, "skipped": 0}, name
        assert int(report.get("tests", "0")) > 0


def test_python_goes_on_with_a_run_that_the_engine_began(
    java: list[str],
    case: GoldenRun,
    seedtune: Callable[..., subprocess.CompletedProcess[str]],
    tmp_path: Path,
) -> None:
    run = tmp_path / "run"
    begun = subprocess.run(
        [*java, TUNE, *arguments(case, run), "--stop-after=20"], capture_output=True, text=True, check=False
    )
    assert begun.returncode == 0, begun.stderr
    assert json.loads(begun.stdout.splitlines()[-1])["steps"] == 20
    done = seedtune("run", case.bundle, "--out", run, "--resume", "--threads", 1, "--json")
    assert done.returncode == 0, done.stderr
    assert (run / "journal.bin").read_bytes() == (case.folder / "journal.bin").read_bytes()
    assert json.loads(done.stdout.splitlines()[-1])["state_sha256"] == case.state_sha256
    assert kept_states(run) == kept_states(case.folder)


def test_a_second_run_in_the_same_folder_is_refused(java: list[str], case: GoldenRun, tmp_path: Path) -> None:
    run = tmp_path / "run"
    first = subprocess.Popen([*java, TUNE, *arguments(case, run)], stdout=subprocess.PIPE, text=True)
    assert first.stdout is not None
    assert first.stdout.readline().startswith("step 1")
    first.send_signal(signal.SIGSTOP)
    try:
        second = subprocess.run([*java, TUNE, *arguments(case, run)], capture_output=True, text=True, check=False)
        assert second.returncode != 0
        assert "another run is writing this folder" in second.stderr
    finally:
        first.send_signal(signal.SIGCONT)
        first.communicate()
    assert first.returncode == 0
