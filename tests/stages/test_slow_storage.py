"""Storage that is slower than computing, and file systems that do not map files."""

from __future__ import annotations

import errno
import mmap
import os
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from stages_lab import streamed

import seedtune
from seedtune.runtime.bundle.reader import Bundle
from seedtune.runtime.errors import SeedTuneError
from seedtune.runtime.graphs.types import Reading
from seedtune.runtime.run.listeners.slow_storage import STEPS_WATCHED, SlowStorage
from seedtune.runtime.run.materials import text
from seedtune.runtime.telemetry.events import Notice, Step
from seedtune.runtime.telemetry.records import StepRecord

# What a step was does not matter to the watcher.
STEP = Step(StepRecord(**dict.fromkeys(StepRecord.__struct_fields__, 0)))


class Steps:
    """Steps of so many seconds that wait so long, as a watcher sees them."""

    def __init__(self, seconds: float, waited_seconds: float) -> None:
        self.said: list[str] = []
        self.made = 0
        self._seconds, self._waited_seconds = seconds, waited_seconds
        # Reading before the steps, such as a first evaluation's, is not theirs.
        self.watcher = SlowStorage(
            lambda: Reading(10**9 * (1 + self.made), 100 + self.made * 4.0, 50 + self.made * self._waited_seconds),
            self.said.append,
            clock=lambda: 1000 + self.made * self._seconds,
        )

    def make(self, count: int) -> None:
        for _ in range(count):
            self.made += 1
            self.watcher.on(STEP)


def test_steps_that_wait_for_the_storage_are_told_of_once_with_their_figures() -> None:
    steps = Steps(seconds=5.0, waited_seconds=3.5)
    steps.make(STEPS_WATCHED - 1)
    assert not steps.said
    steps.make(10)
    (text,) = steps.said
    assert f"took {STEPS_WATCHED * 5.0:.1f} s" in text
    assert f"waited {STEPS_WATCHED * 3.5:.1f} s" in text
    assert "3,000 MB" in text
    assert "250 MB/s" in text
    assert "--memory-limit" in text


def test_steps_that_hardly_wait_are_no_news() -> None:
    steps = Steps(seconds=5.0, waited_seconds=2.0)
    steps.make(20)
    assert not steps.said


@pytest.mark.parametrize("slow", [True, False], ids=["slow", "fast"])
def test_a_run_on_slow_storage_says_so(
    tiny_bundle: Path,
    tiny_data: SimpleNamespace,
    tmp_path: Path,
    slow: bool,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    read = os.preadv

    def read_slowly(*arguments: Any) -> int:
        time.sleep(0.05)
        return read(*arguments)

    limits: dict[str, Any] = {}
    if slow:
        monkeypatch.setattr(os, "preadv", read_slowly)
        limits = {"memory_limit": 10**9}
        # Else all matrices would stay in memory.
        monkeypatch.setattr(
            text,
            "limit_memory",
            lambda bundle, *_rest, **_options: streamed(bundle, tokens_in_flight=200, tokens_per_call=200),
        )
    with seedtune.open(tiny_bundle, **limits) as model:
        events = model.tune(tiny_data.train, out=tmp_path / "run", steps=STEPS_WATCHED + 1, batch_size=4)
        said = [event.text for event in events if isinstance(event, Notice)]
    assert any(text.startswith("the storage is slow") for text in said) == slow


def refuse_to_map(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_arguments: object, **_options: object) -> np.memmap:
        raise OSError(errno.ENODEV, os.strerror(errno.ENODEV))

    monkeypatch.setattr(np, "memmap", refuse)


def test_a_file_system_without_mmap_is_refused_before_anything_is_written(
    bundle_of: Callable[..., Path], tiny_data: SimpleNamespace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bundle = Bundle.open(bundle_of("causal", "all"))
    assert "mapped" in bundle.plan.roles.values()
    refuse_to_map(monkeypatch)
    with pytest.raises(SeedTuneError, match="cannot be mapped") as caught:
        streamed(bundle)
    assert "leave the memory limit out" in str(caught.value)
    assert mmap.PAGESIZE  # anonymous memory is no file: it is still there
    run = tmp_path / "run"
    with (
        seedtune.open(bundle.path, memory_limit=10**10) as model,
        pytest.raises(SeedTuneError, match="cannot be mapped"),
    ):
        list(model.tune(tiny_data.train, out=run, steps=2))
    assert not run.exists()
