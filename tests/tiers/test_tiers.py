"""The tiers hold what they say: no torch in the fast one, no slow test in the default, everything in --slow."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import tiers

ROOT = Path(__file__).parents[2]
# Beside the names of tests, whether torch came in with them.
WATCHER = """
import sys

def pytest_collection_finish(session):
    for item in session.items:
        print("item", item.nodeid, *sorted({mark.name for mark in item.iter_markers()}))
    print("torch" if "torch" in sys.modules else "light")
"""
PASSES = "def test_plain(): pass\n"
CASES = {
    "test_plain.py": PASSES,
    "test_file.py": "import pytest\nimport no_such_library\n\npytestmark = pytest.mark.traced\n\n" + PASSES,
    "test_list.py": "import pytest\n\npytestmark = [\n    pytest.mark.traced,\n]\nimport no_such_library\n" + PASSES,
    "test_one.py": "import pytest\n\n\n@pytest.mark.traced\ndef test_one(): pass\n\n\n" + PASSES,
    "test_fixture.py": "def test_fixture(tiny_bundle): pass\n\n\n" + PASSES,
    "test_slow.py": "import pytest\n\n\n@pytest.mark.slow\ndef test_slow(): pass\n",
    "folder/conftest.py": "import no_such_library\n",
    "folder/test_inner.py": "import pytest\n\npytestmark = pytest.mark.traced\n\n" + PASSES,
}
FAKE_CONFTEST = """
import pytest
pytest_plugins = ["tiers"]

@pytest.fixture
def bundle_of(tracing): pass

@pytest.fixture
def tiny_bundle(bundle_of): pass
"""


def collected(folder: Path, *arguments: str, plugin: Path) -> tuple[dict[str, list[str]], str]:
    """Name of each test -> its marks, and whether torch was imported."""
    plugin.mkdir(exist_ok=True)
    (plugin / "watcher.py").write_text(WATCHER)
    path = os.pathsep.join([str(plugin), str(Path(__file__).parent)])
    command = [sys.executable, "-m", "pytest", "-p", "watcher", "--collect-only", "-q", "-p", "no:cacheprovider"]
    done = subprocess.run(
        [*command, *arguments], cwd=folder, capture_output=True, text=True, check=False,
        env=os.environ | {"PYTHONPATH": path},
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    told = [line.split() for line in done.stdout.splitlines() if line.startswith("item ")]
    (torch,) = [line for line in done.stdout.splitlines() if line in ("torch", "light")]
    return {name: marks for _, name, *marks in told}, torch


@pytest.fixture
def made_up(tmp_path: Path) -> Path:
    """A small folder of tests of each kind; what must not be imported cannot be."""
    folder = tmp_path / "tests"
    for name, content in (
        CASES | {"conftest.py": FAKE_CONFTEST, "pytest.ini": "[pytest]\nmarkers =\n  traced\n  slow\n"}
    ).items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(content)
    return folder


def test_the_fast_tier_imports_no_marked_file_and_leaves_out_what_a_fixture_tells(
    made_up: Path, tmp_path: Path
) -> None:
    found, _ = collected(made_up, "--fast", plugin=tmp_path / "plugin")
    assert sorted(found) == ["test_fixture.py::test_plain", "test_one.py::test_plain", "test_plain.py::test_plain"]


def test_the_default_leaves_out_what_is_slow_and_slow_leaves_out_nothing(made_up: Path, tmp_path: Path) -> None:
    for name in ("test_file.py", "test_list.py", "folder/conftest.py"):
        (made_up / name).write_text((made_up / name).read_text().replace("import no_such_library\n", ""))
    default, _ = collected(made_up, plugin=tmp_path / "plugin")
    everything, _ = collected(made_up, "--slow", plugin=tmp_path / "plugin")
    assert everything.keys() - default.keys() == {"test_slow.py::test_slow"}
    assert default["test_fixture.py::test_fixture"] == ["traced"]
    assert len(everything) == 9


def test_the_fast_tier_of_these_tests_imports_no_torch_and_has_most_rooms(tmp_path: Path) -> None:
    found, torch = collected(ROOT, "--fast", plugin=tmp_path / "plugin")
    assert torch == "light"
    assert len(found) > 1000
    assert not any({"traced", "slow"} & set(marks) for marks in found.values())
    rooms = {name.split("/")[1] for name in found}
    assert rooms >= {"data", "estimators", "face", "house", "journal", "loop", "optimizers", "passes", "run", "task"}


def test_asking_for_a_model_by_the_back_door_fails_in_the_fast_tier(tmp_path: Path) -> None:
    (tmp_path / "conftest.py").write_text(
        "import pytest\npytest_plugins = ['tiers']\n\n\n@pytest.fixture\ndef bundle_of(tracing): pass\n"
    )
    (tmp_path / "test_it.py").write_text("def test_it(request): request.getfixturevalue('bundle_of')\n")
    for arguments, code in ((("--fast",), 1), ((), 0)):
        done = subprocess.run(
            [sys.executable, "-m", "pytest", *arguments], cwd=tmp_path, capture_output=True, text=True, check=False,
            env=os.environ | {"PYTHONPATH": str(Path(__file__).parent)},
        )  # fmt: skip
        assert done.returncode == code, done.stdout + done.stderr
        assert ("mark this test traced" in done.stdout) == (code == 1)


def test_files_that_share_a_build_run_in_one_process_and_others_each_for_itself() -> None:
    assert tiers.scope_of("tests/engine/test_kills.py::test_a[1]") == tiers.scope_of("tests/engine/test_apk.py::test_b")
    assert tiers.scope_of("tests/device/test_chain.py::test_a") == tiers.scope_of("tests/engine/test_apk.py::test_b")
    assert tiers.scope_of("elsewhere/test_a.py::test_b") == "elsewhere/test_a.py"
