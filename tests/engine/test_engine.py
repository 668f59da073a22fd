"""The Kotlin engine against the Python runtime: tokens, noise, losses and journals, and one run made by both."""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import subprocess
import xml.etree.ElementTree as ElementTree
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest
from golden import ENGINE, SETTINGS

# How often a run is killed; SEEDTUNE_KILLS=50 is for a longer look.
KILLS = int(os.environ.get("SEEDTUNE_KILLS", "6"))
MAIN = "org.seedtune.engine.TuneProcessKt"
PLUGIN = "org.apache.maven.plugins:maven-dependency-plugin:3.6.1:build-classpath"
Maven = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture(scope="session")
def reports(golden: Path, maven: Maven) -> dict[str, ElementTree.Element]:
    """Class -> Surefire's report, after the engine's own tests ran over the golden files."""
    done = maven("test", f"-Dseedtune.golden={golden}")
    assert done.returncode == 0, done.stdout[-8000:] + done.stderr[-2000:]
    files = (ENGINE / "engine" / "target" / "surefire-reports").glob("TEST-*.xml")
    return {report.get("name", ""): report for report in (ElementTree.parse(file).getroot() for file in files)}


def test_every_test_of_the_engine_passed_over_the_golden_files(reports: dict[str, ElementTree.Element]) -> None:
    names = {name.rpartition(".")[2] for name in reports}
    assert {"NoiseTest", "JsonTextTest", "JournalTest", "TokenizerTest", "TuneTest"} <= names
    for name, report in reports.items():
        counts = {kind: int(report.get(kind, "1")) for kind in ("errors", "failures", "skipped")}
        assert counts == {"errors": 0, "failures": 0, "skipped": 0}, name
        assert int(report.get("tests", "0")) > 0


@pytest.fixture(scope="session")
def java(reports: dict[str, ElementTree.Element], maven: Maven, tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """The start of a command line that runs the engine in a process of its own."""
    assert reports
    listed = tmp_path_factory.mktemp("classpath") / "classpath"
    done = maven(PLUGIN, f"-Dmdep.outputFile={listed}", "-pl", "engine")
    assert done.returncode == 0, done.stdout[-4000:]
    target = ENGINE / "engine" / "target"
    classpath = os.pathsep.join([str(target / "classes"), str(target / "test-classes"), listed.read_text().strip()])
    return ["java", "-Xmx256m", "-cp", classpath, MAIN]


@pytest.fixture
def case(golden: Path) -> SimpleNamespace:
    """A run of scope "suffix" that Python made."""
    name = json.loads((golden / "runs.json").read_text())[1]
    folder = golden / "runs" / name
    return SimpleNamespace(folder=folder, **json.loads((folder / "info.json").read_text()))


def arguments(case: SimpleNamespace, run: Path) -> list[str]:
    settings = {name.replace("-", "_"): value for name, value in SETTINGS.items()}
    return [
        f"{name}={value}"
        for name, value in {**settings, "bundle": case.bundle, "run": run, "train": case.train}.items()
    ]


def test_python_goes_on_with_a_run_that_the_engine_began(
    java: list[str],
    case: SimpleNamespace,
    seedtune: Callable[..., subprocess.CompletedProcess[str]],
    tmp_path: Path,
) -> None:
    run = tmp_path / "run"
    begun = subprocess.run([*java, *arguments(case, run), "stop=20"], capture_output=True, text=True, check=False)
    assert begun.returncode == 0, begun.stderr
    assert json.loads(begun.stdout.splitlines()[-1])["steps"] == 20
    done = seedtune("run", case.bundle, "--out", run, "--resume", "--threads", 1, "--json")
    assert done.returncode == 0, done.stderr
    assert (run / "journal.bin").read_bytes() == (case.folder / "journal.bin").read_bytes()
    assert json.loads(done.stdout.splitlines()[-1])["state_sha256"] == case.state_sha256


def test_a_run_killed_at_any_instant_goes_on_bit_equal(java: list[str], case: SimpleNamespace, tmp_path: Path) -> None:
    generator = random.Random(KILLS)
    run = tmp_path / "run"
    killed = 0
    while killed < KILLS:
        process = subprocess.Popen([*java, *arguments(case, run)], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        try:
            # A start takes about a second; steps of this model some milliseconds each.
            _, errors = process.communicate(timeout=generator.uniform(0.3, 2.0))
            assert process.returncode == 0, errors.decode()
            # It was through before it was killed: begin anew.
            shutil.rmtree(run)
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGKILL)
            process.communicate()
            killed += 1
    done = subprocess.run([*java, *arguments(case, run)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert (run / "journal.bin").read_bytes() == (case.folder / "journal.bin").read_bytes()
    assert json.loads(done.stdout.splitlines()[-1])["state_sha256"] == case.state_sha256


def test_a_second_run_in_the_same_folder_is_refused(java: list[str], case: SimpleNamespace, tmp_path: Path) -> None:
    run = tmp_path / "run"
    first = subprocess.Popen([*java, *arguments(case, run)], stdout=subprocess.PIPE, text=True)
    assert first.stdout is not None
    assert first.stdout.readline().startswith("step 1")
    first.send_signal(signal.SIGSTOP)
    try:
        second = subprocess.run([*java, *arguments(case, run)], capture_output=True, text=True, check=False)
        assert second.returncode != 0
        assert "another run is writing this folder" in second.stderr
    finally:
        first.send_signal(signal.SIGCONT)
        first.communicate()
    assert first.returncode == 0
