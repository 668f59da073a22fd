"""Whether a cap can be enforced on this machine, and a program to put under one."""

from __future__ import annotations

import sys
from collections.abc import Callable

import pytest

from lab.memory_cgroup import CapError, MemoryCgroup


@pytest.fixture(scope="session")
def caps() -> None:
    """Skips, with the reason, where no cgroup can be made."""
    try:
        with MemoryCgroup(64 << 20):
            pass
    except CapError as error:
        pytest.skip(str(error))


@pytest.fixture
def program() -> Callable[[str], list[str]]:
    """A command that runs a piece of Python, with as little else in memory as can be."""
    return lambda text: [sys.executable, "-I", "-S", "-c", text]
