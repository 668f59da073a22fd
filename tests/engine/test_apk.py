"""What is in the APKs: whole, reproducible, without telemetry, and the same engine."""

from __future__ import annotations

import hashlib
import json
import re
import subprocess
import sys
import tomllib
import xml.etree.ElementTree as ElementTree
import zipfile
from pathlib import Path

import onnxruntime
import pytest
from apk_lab import TUNE, engine_tests, looked_at, losses_apart, machine_of, on_arm64, run_junit
from golden import ENGINE
from golden_run import GoldenRun, arguments
from graph_lab import products_saturate

from lab.android.apk_machine import ApkMachine

# Where later builds of ONNX Runtime send what they observe.
COLLECTOR = b"events.data.microsoft.com"
LARGEST_APK_BYTES = 40_000_000
# What a tiny bundle needs within a JVM, and ample more; any limit makes the weights be streamed.
MEMORY_LIMIT_BYTES = 10**9
# Of the engine's tests, those that compute what is the same on every processor.
REPLAYING = (".NoiseTest", ".JournalTest", ".JournalFormatTest", ".ReplayedTest", ".GroupedTest", ".SamplingTest")
# And those that make Python's runs and texts again, token by token and byte by byte.
GOLDEN_RUNS = (".TuneTest", ".GenerationTest", ".SamplingTest")
PERMISSIONS = {
    f"android.permission.{name}"
    for name in ("FOREGROUND_SERVICE", "FOREGROUND_SERVICE_SPECIAL_USE", "POST_NOTIFICATIONS", "WAKE_LOCK")
}
# Maven builds, tests and packs within the set-up of the first test, for minutes where others use the processors too.
pytestmark = pytest.mark.timeout(1500)


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
            everything = b"".join(archive.read(name) for name in names)
        assert {"AndroidManifest.xml", "resources.arsc", "classes.dex"} <= names
        libraries = {Path(name).parent.name for name in names if name.endswith(".so")}
        assert libraries == {
            "seedtune.apk": {"arm64-v8a"}, "seedtune-x86_64.apk": {"x86_64"}, "seedtune-no-runtime.apk": set(),
        }[name]  # fmt: skip
        assert b"MIT License" in everything or not libraries
        assert b"Apache License" in everything
        assert COLLECTOR not in everything
        # The installer knows an APK by its signing block, right before the directory of the archive.
        assert b"APK Sig Block 42" in apk.read_bytes()
        assert apk.stat().st_size <= LARGEST_APK_BYTES
        before.append(hashlib.sha256(apk.read_bytes()).hexdigest())
    again = subprocess.run([sys.executable, "../tools/apk.py"], cwd=app, capture_output=True, text=True, check=False)
    assert again.returncode == 0, again.stderr
    assert all(sha256 in again.stdout for sha256 in before)
    assert ("CANNOT TUNE" in again.stderr) == ("seedtune-no-runtime.apk" in apks)
    bill = json.loads((app / "target" / "seedtune.cdx.json").read_text())
    packed = [file["hashes"][0]["content"] for file in bill["metadata"]["component"]["components"]]
    assert sorted(packed) == sorted(before)
    listed = {component["name"]: component["version"] for component in bill["components"]}
    assert listed.keys() - {"onnxruntime-android"} == {
        "annotations", "kotlin-stdlib", "kotlinx-serialization-core-jvm", "kotlinx-serialization-json-jvm",
    }  # fmt: skip
    assert listed.get("onnxruntime-android", onnxruntime.__version__) == onnxruntime.__version__


def test_the_app_uses_the_listed_members_of_android_and_no_others(reports: dict[str, ElementTree.Element]) -> None:
    assert reports
    done = subprocess.run(
        [sys.executable, "../tools/api.py"], cwd=ENGINE / "app", capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("tests", [GOLDEN_RUNS, pytest.param((), marks=pytest.mark.slow)], ids=["runs", "all"])
def test_the_engines_tests_pass_on_the_bytecode_and_the_libraries_of_the_apk(
    reports: dict[str, ElementTree.Element],
    golden: Path,
    apk: ApkMachine,
    classpath: list[Path],
    tests: tuple[str, ...],
) -> None:
    expected = {name: count for name, count in engine_tests(reports).items() if name.endswith(tests or "")}
    assert len(expected) >= len(tests)
    assert run_junit(apk.java(classpath), golden, list(expected)) == sum(expected.values())


def test_what_runs_are_the_pinned_libraries_and_the_bytecode_of_the_apk(
    apk: ApkMachine, classpath: list[Path], case: GoldenRun, tmp_path: Path
) -> None:
    command = [*apk.java(classpath), "-Xlog:class+load", TUNE, *arguments(case, tmp_path / "run")]
    mapped, told = looked_at(command, until="step 1")
    pinned = tomllib.loads((ENGINE / "tools" / "aar.toml").read_text())["members"]
    for name in ("libonnxruntime.so", "libonnxruntime4j_jni.so"):
        (used,) = [path for path in mapped if path.name == name]
        assert hashlib.sha256(used.read_bytes()).hexdigest() == pinned[f"jni/x86_64/{name}"]
    for name in ("org.seedtune.engine.SeedTune", "ai.onnxruntime.OrtSession", "kotlin.Unit"):
        (line,) = [line for line in told if f"] {name} source:" in line]
        assert str(apk.bytecode) in line


def test_the_manifest_asks_for_no_network_and_starts_nothing_of_others(reports: dict[str, ElementTree.Element]) -> None:
    assert reports
    for apk in (ENGINE / "app" / "target").glob("seedtune*.apk"):
        told = {}
        for what in (["permissions"], ["xmltree", "--file", "AndroidManifest.xml"]):
            command = [ENGINE / "app" / "target" / "tools" / "aapt2", "dump", *what, apk]
            done = subprocess.run(list(map(str, command)), capture_output=True, text=True, check=True)
            told[what[0]] = done.stdout
        assert set(re.findall(r"uses-permission: name='(.+)'", told["permissions"])) == PERMISSIONS
        assert set(re.findall(r"E: (activity|service|provider|receiver)\b", told["xmltree"])) == {"activity", "service"}


def test_libraries_of_an_apk_lie_on_pages_of_16_kb(reports: dict[str, ElementTree.Element]) -> None:
    assert reports
    for apk in (ENGINE / "app" / "target").glob("seedtune*.apk"):
        content = apk.read_bytes()
        with zipfile.ZipFile(apk) as archive:
            for info in archive.infolist():
                if info.filename.endswith(".so"):
                    library = archive.read(info)
                    assert info.compress_type == zipfile.ZIP_STORED
                    # Its own search for the bytes, so that no reading of headers is shared with the build.
                    assert content.index(library) % 16384 == 0, info.filename


def test_classes_of_java_that_android_8_lacks_are_not_used(reports: dict[str, ElementTree.Element]) -> None:
    assert reports
    command = [sys.executable, "../tools/java_api.py"]
    done = subprocess.run(command, cwd=ENGINE / "app", capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.slow
def test_the_apk_for_phones_on_an_emulated_arm64_processor(
    reports: dict[str, ElementTree.Element], classpath: list[Path], golden: Path, tmp_path: Path
) -> None:
    java = on_arm64(machine_of("seedtune.apk"), classpath)
    replaying = {name: count for name, count in engine_tests(reports).items() if name.endswith(REPLAYING)}
    assert run_junit(java, golden, list(replaying)) == sum(replaying.values())
    for name, tolerance in (("causal-all-fp32-fp32", 1e-4), ("causal-suffix-fp16-int8", 2e-2)):
        folder = golden / "runs" / name
        case = GoldenRun.of(folder)
        journals = {}
        for limit in ([], [f"--memory-limit={MEMORY_LIMIT_BYTES}"]):
            run = tmp_path / name / str(len(limit))
            command = [*java, TUNE, *arguments(case, run), *limit]
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            assert (done.returncode, "memory limit:" in done.stderr) == (0, bool(limit)), done.stderr[-3000:]
            journals[len(limit)] = run / "journal.bin"
        assert journals[0].read_bytes() == journals[1].read_bytes()
        apart = losses_apart(journals[0], folder / "journal.bin")
        assert apart <= tolerance or (name.endswith("int8") and products_saturate()), name
