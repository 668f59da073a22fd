"""The Kotlin engine against the Python runtime: tokens, noise, losses, journals, runs made by both; and the APK."""

from __future__ import annotations

import hashlib
import json
import os
import random
import shutil
import signal
import struct
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
import zipfile
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest
from golden import ENGINE, SETTINGS

# How often a run is killed; SEEDTUNE_KILLS=50 is for a longer look.
KILLS = int(os.environ.get("SEEDTUNE_KILLS", "3"))
LARGEST_APK_BYTES = 40_000_000
MAIN = "org.seedtune.engine.TuneProcessKt"
PLUGIN = "org.apache.maven.plugins:maven-dependency-plugin:3.6.1:build-classpath"
Maven = Callable[..., "subprocess.CompletedProcess[str]"]
# Maven builds, tests and packs within the set-up of the first test, for minutes where others use the processors too.
pytestmark = pytest.mark.timeout(1500)


@pytest.fixture(scope="session")
def reports(golden: Path, maven: Maven) -> dict[str, ElementTree.Element]:
    """Class -> Surefire's report, after the tests of engine and app ran over the golden files."""
    for old in ENGINE.glob("*/target/surefire-reports/*.xml"):
        old.unlink()
    # Classes whose source is gone would be taken for this build's.
    for old in ENGINE.glob("*/target/*classes"):
        shutil.rmtree(old)
    done = maven("package", f"-Dseedtune.golden={golden}")
    assert done.returncode == 0, done.stdout[-8000:] + done.stderr[-2000:]
    files = ENGINE.glob("*/target/surefire-reports/TEST-*.xml")
    return {report.get("name", ""): report for report in (ElementTree.parse(file).getroot() for file in files)}


def test_every_test_of_the_engine_passed_over_the_golden_files(reports: dict[str, ElementTree.Element]) -> None:
    names = {name.rpartition(".")[2] for name in reports}
    assert {
        "NoiseTest",
        "JsonTextTest",
        "JournalTest",
        "TokenizerTest",
        "CompiledTaskTest",
        "TuneTest",
        "StagesTest",
        "ContextOnHostTest",
        "SegmentedLogTest",
        "SettingsTest",
        "OptimizerTest",
        "GradientTest",
        "ReplayedTest",
        "LoopTest",
        "ManifestTest",
        "RowsTest",
        "MutatedInputsTest",
        "GroupedTest",
        "StartTest",
        "EngineApiTest",
    } <= names
    assert {"ImporterTest", "MainActivityTest", "PausePolicyTest", "TelemetryTest", "TuningServiceTest"} <= names
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


@pytest.fixture(params=["causal-suffix-fp16-int8", "gradient-last"])
def case(golden: Path, request: pytest.FixtureRequest) -> SimpleNamespace:
    """A run that Python made: along noise with scope "suffix", and along gradients with scope "last"."""
    folder = golden / "runs" / request.param
    return SimpleNamespace(folder=folder, **json.loads((folder / "info.json").read_text()))


def arguments(case: SimpleNamespace, run: Path) -> list[str]:
    options = {**SETTINGS, **case.more, "out": run, "train": case.train}
    return [str(case.bundle), *(f"--{name}={value}" for name, value in options.items())]


def kept_states(run: Path) -> dict[str, bytes]:
    """What a run along gradients keeps; nothing of another."""
    return {path.name: path.read_bytes() for path in (run / "states").glob("*")}


def test_python_goes_on_with_a_run_that_the_engine_began(
    java: list[str],
    case: SimpleNamespace,
    seedtune: Callable[..., subprocess.CompletedProcess[str]],
    tmp_path: Path,
) -> None:
    run = tmp_path / "run"
    begun = subprocess.run(
        [*java, *arguments(case, run), "--stop-after=20"], capture_output=True, text=True, check=False
    )
    assert begun.returncode == 0, begun.stderr
    assert json.loads(begun.stdout.splitlines()[-1])["steps"] == 20
    done = seedtune("run", case.bundle, "--out", run, "--resume", "--threads", 1, "--json")
    assert done.returncode == 0, done.stderr
    assert (run / "journal.bin").read_bytes() == (case.folder / "journal.bin").read_bytes()
    assert json.loads(done.stdout.splitlines()[-1])["state_sha256"] == case.state_sha256
    assert kept_states(run) == kept_states(case.folder)


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
    assert kept_states(run) == kept_states(case.folder)


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


def test_the_apk_is_whole_says_what_it_lacks_and_is_reproducible(reports: dict[str, ElementTree.Element]) -> None:
    assert reports
    app = ENGINE / "app"
    apks = {apk.name: apk for apk in (app / "target").glob("seedtune*.apk")}
    assert set(apks) in ({"seedtune.apk", "seedtune-x86_64.apk"}, {"seedtune-no-runtime.apk"})
    before = []
    for name, apk in apks.items():
        with zipfile.ZipFile(apk) as archive:
            names = set(archive.namelist())
            assert archive.testzip() is None
        assert {"AndroidManifest.xml", "resources.arsc", "classes.dex"} <= names
        libraries = {Path(name).parent.name for name in names if name.endswith(".so")}
        assert libraries == {
            "seedtune.apk": {"arm64-v8a"}, "seedtune-x86_64.apk": {"x86_64"}, "seedtune-no-runtime.apk": set(),
        }[name]  # fmt: skip
        # The installer knows an APK by its signing block, right before the directory of the archive.
        assert b"APK Sig Block 42" in apk.read_bytes()
        assert apk.stat().st_size <= LARGEST_APK_BYTES
        before.append(hashlib.sha256(apk.read_bytes()).hexdigest())
    again = subprocess.run([sys.executable, "../tools/apk.py"], cwd=app, capture_output=True, text=True, check=False)
    assert again.returncode == 0, again.stderr
    assert all(sha256 in again.stdout for sha256 in before)
    assert ("CANNOT TUNE" in again.stderr) == ("seedtune-no-runtime.apk" in apks)


def test_the_app_uses_the_listed_members_of_android_and_no_others(reports: dict[str, ElementTree.Element]) -> None:
    assert reports
    done = subprocess.run(
        [sys.executable, "../tools/api.py"], cwd=ENGINE / "app", capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def test_a_library_that_a_phone_would_refuse_ends_the_build(tmp_path: Path) -> None:
    header = bytearray(64 + 56)
    header[:6] = b"\x7fELF\x02\x01"
    struct.pack_into("<H", header, 18, 183)
    struct.pack_into("<Q", header, 32, 64)
    struct.pack_into("<HH", header, 54, 56, 1)
    struct.pack_into("<I", header, 64, 1)
    for alignment, machine, message in (
        (16384, 183, ""),
        (4096, 183, "aligned to 4,096"),
        (16384, 62, "no library for arm64"),
    ):
        struct.pack_into("<Q", header, 64 + 48, alignment)
        struct.pack_into("<H", header, 18, machine)
        program = "import sys, native; native.require_loadable('lib.so', sys.stdin.buffer.read(), 'arm64-v8a')"
        done = subprocess.run(
            [sys.executable, "-c", program], input=bytes(header), cwd=ENGINE / "tools", capture_output=True, check=False
        )
        assert (done.returncode == 0) == (not message)
        assert message in done.stderr.decode()
