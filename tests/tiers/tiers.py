"""Tiers of tests: ``--fast`` without tracing, the default without what is marked slow, ``--slow`` with everything.

A plugin of pytest, loaded by `tests/conftest.py`. A test is *traced* when its fixtures have a model traced, which they
tell, or when its file says so because it imports torch; it is *slow* when it, its file or its fixtures say so.
"""

from __future__ import annotations

import ast
import gc
from collections.abc import Container, Iterable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings

# Whoever asks for one of these, however far away, has a model traced, or starts an emulator.
TRACED_FIXTURES = {"tracing"}
SLOW_FIXTURES = {"arm64"}
MANY_OBJECTS = 100_000
# Places whose tests share golden files and a build, which a second process would make again, or over the first one's.
TOGETHER = ("tests/engine/", "tests/device/test_chain.py")


def pytest_addoption(parser: pytest.Parser) -> None:
    """The two options."""
    tiers = parser.getgroup("tiers")
    tiers.addoption("--fast", action="store_true", help="only tests for which no model is traced")
    tiers.addoption("--slow", action="store_true", help="also the tests that are marked slow")


def pytest_configure(config: pytest.Config) -> None:
    """Properties are tried on a few examples, always the same; with ``--slow`` on many."""
    settings.register_profile("default", max_examples=50, deadline=None, derandomize=True)
    settings.register_profile("slow", settings.get_profile("default"), max_examples=2000)
    settings.load_profile("slow" if config.getoption("--slow") else "default")


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Files that import torch themselves, and folders of nothing else, are not even imported by ``--fast``."""
    if not config.getoption("--fast"):
        return None
    files = list(collection_path.rglob("test_*.py")) if collection_path.is_dir() else [collection_path]
    files = [file for file in files if file.suffix == ".py"]
    return True if files and all(map(_imports_torch, files)) else None


def _imports_torch(file: Path) -> bool:
    """Whether the file as a whole is marked."""
    text = file.read_text("utf-8")
    return "pytest.mark.traced" in text and any(
        isinstance(statement, ast.Assign)
        and ast.unparse(statement.targets[0]) == "pytestmark"
        and "pytest.mark.traced" in ast.unparse(statement.value)
        for statement in ast.parse(text).body
    )


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Marks what the fixtures of a test tell, and leaves out what the tier leaves out."""
    left_out = ({"traced"} if config.getoption("--fast") else set()) | (
        set() if config.getoption("--slow") else {"slow"}
    )
    chosen: list[pytest.Item] = []
    others: list[pytest.Item] = []
    for item in items:
        needed = set(getattr(item, "fixturenames", ()))
        for name, fixtures in (("traced", TRACED_FIXTURES), ("slow", SLOW_FIXTURES)):
            if needed & fixtures:
                item.add_marker(name)
        (others if left_out & {mark.name for mark in item.iter_markers()} else chosen).append(item)
    if others:
        config.hook.pytest_deselected(items=others)
    # What uses a build comes behind what makes it.
    later = [item for item in chosen if item.nodeid.startswith(TOGETHER[1:])]
    items[:] = [item for item in chosen if item not in later] + later


@pytest.fixture(scope="module", autouse=True)
def looked_through_once() -> None:
    """torch brings half a million objects, and each collection of garbage (a run makes several) looks at them."""
    if len(gc.get_objects()) > MANY_OBJECTS:
        gc.collect()
        gc.freeze()


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """With ``--dist loadfile`` what stands in TOGETHER goes to one process: it shares what takes minutes."""
    if config.getoption("dist") != "loadfile":
        return None
    from xdist.scheduler import LoadFileScheduling

    class Together(LoadFileScheduling):  # type: ignore[misc]
        def _split_scope(self, nodeid: str) -> str:
            return scope_of(nodeid)

    return Together(config, log)


def scope_of(nodeid: str) -> str:
    """The file of a test, or the one name of all that run one after the other."""
    file = nodeid.split("::", 1)[0]
    return TOGETHER[0] if file.startswith(TOGETHER) else file


@pytest.fixture(scope="session")
def tracing(request: pytest.FixtureRequest) -> None:
    """What fixtures ask for that have a model traced; fails a test of the fast tier that comes to them unannounced."""
    if request.config.getoption("--fast"):
        pytest.fail("a model is to be traced in the fast tier: mark this test traced, or name the fixture")


def some_slow(names: Iterable[Any], kept: Container[Any]) -> list[Any]:
    """Parameters of a test, of which those that are not ``kept`` are for ``--slow``: more cases of a property."""
    return [
        pytest.param(*(name if isinstance(name, tuple) else (name,)), marks=() if name in kept else pytest.mark.slow)
        for name in names
    ]
