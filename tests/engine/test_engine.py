"""The Kotlin engine against the Python runtime: tokens, noise, losses and journals, and one run made by both."""

from __future__ import annotations

import subprocess
import xml.etree.ElementTree as ElementTree
from collections.abc import Callable
from pathlib import Path

import pytest
from golden import ENGINE


@pytest.fixture(scope="session")
def reports(golden: Path, maven: Callable[..., subprocess.CompletedProcess[str]]) -> dict[str, ElementTree.Element]:
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
