"""APKs that were built, run by a JVM; and the engine's own tests over them."""

from __future__ import annotations

import re
import subprocess
import xml.etree.ElementTree as ElementTree
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from golden import ENGINE

from lab.android.apk_machine import ApkMachine
from lab.android.arm64 import Arm64
from lab.android.command import kept_folder
from lab.android.tools import ToolError
from lab.arm64_machine import UnavailableError
from seedtune.runtime.journal.file import read_journal

# It reads the class files of the engine, of which an APK has none.
LEFT_OUT = {"EngineApiTest"}
# Programs of the engine's tests: a run, and a text.
TUNE = "org.seedtune.engine.TuneProcessKt"
GENERATE = "org.seedtune.engine.GenerateProcessKt"
TARGET = ENGINE / "app" / "target"


def machine_of(name: str) -> ApkMachine:
    """What a JVM needs of the APK of that name; the test is skipped where the registries do not have what it takes."""
    apk = TARGET / name
    if not apk.is_file():
        pytest.skip(f"{name} was not built: ONNX Runtime for Android cannot be had")
    try:
        return ApkMachine(apk, kept_folder())
    except ToolError as error:
        pytest.skip(f"no laboratory for APKs: {error}")


def on_arm64(machine: ApkMachine, classpath: Sequence[Path]) -> list[str]:
    """The start of a command line that runs Java on an emulated processor; skipped where there is no emulator."""
    try:
        return Arm64(kept_folder() / "arm64").java(machine, classpath)
    except UnavailableError as error:
        pytest.skip(f"no emulated ARM64 processor: {error}")


def engine_tests(reports: dict[str, ElementTree.Element]) -> dict[str, int]:
    """Class of the engine's tests -> how many tests it has, by Maven's reports."""
    names = {name: int(report.get("tests", "0")) for name, report in reports.items()}
    return {
        name: count
        for name, count in names.items()
        if name.startswith("org.seedtune.engine.") and name.rpartition(".")[2] not in LEFT_OUT
    }


def run_junit(start: Sequence[str], golden: Path, classes: Sequence[str]) -> int:
    """How many tests passed; fails unless all did.

    Args:
        start: of a command line that runs Java, with the tests on its class path.
        golden: folder of golden files.
        classes: of tests.
    """
    command = [*start, "-Xmx1g", f"-Dseedtune.golden={golden}", "org.junit.runner.JUnitCore", *classes]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    passed = re.search(r"^OK \((\d+) tests?\)$", done.stdout, re.MULTILINE)
    assert passed, done.stdout[-6000:] + done.stderr[-2000:]
    return int(passed[1])


def looked_at(command: Sequence[str], until: str) -> tuple[set[Path], list[str]]:
    """What files a program has mapped when it prints a line that begins with ``until``, and what it printed so far."""
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    told: list[str] = []
    for line in process.stdout:
        told.append(line)
        if line.startswith(until):
            break
    # Address, rights, offset, device, inode, and the path of what is mapped from a file.
    fields = [line.split(maxsplit=5) for line in Path(f"/proc/{process.pid}/maps").read_text().splitlines()]
    process.kill()
    process.communicate()
    return {Path(field[5].strip()) for field in fields if len(field) == 6}, told


def losses_apart(journal: Path, other: Path) -> float:
    """By how much the losses of any step of two runs along noise differ at most, in nats."""
    found, expected = (read_journal(path).records for path in (journal, other))
    apart = max(float(np.abs(found[side] - expected[side]).max()) for side in ("loss_plus", "loss_minus"))
    print(f"{journal}: losses differ by at most {apart:.1e}")
    return apart
