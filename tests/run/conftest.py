"""Short runs of the tiny bundle, in this process."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest
from rich.console import Console

from seedtune.runtime.model.feeders import CacheOptions
from seedtune.runtime.run.folder import RunFolder
from seedtune.runtime.run.start import start_or_resume
from seedtune.runtime.telemetry.progress import RunProgress
from seedtune.runtime.telemetry.records import RunResult

DEFAULTS = {"steps": 8, "batch_size": 8, "learning_rate": 0.1, "eval_every": 3, "seed": 5}
UNSET = object()


@pytest.fixture
def tune_tiny(tiny_bundle: Path, tiny_data: SimpleNamespace) -> Callable[..., RunResult]:
    """Runs the tiny bundle on the tiny data; keyword arguments are settings, or replace the files."""

    def call(
        out: Path,
        *,
        resume: bool = False,
        stop: Callable[[], bool] = lambda: False,
        bundle: Path = tiny_bundle,
        train: object = UNSET,
        held_out: object = UNSET,
        prepare: Callable[[object], None] = lambda _run: None,
        cache: CacheOptions | None = None,
        **options: object,
    ) -> RunResult:
        if train is UNSET:
            train = None if resume else tiny_data.train
        if held_out is UNSET:
            held_out = None if resume else tiny_data.eval
        with RunFolder(out, resume=resume) as folder:
            settings = options if resume else DEFAULTS | options
            run = start_or_resume(bundle, folder, train, held_out, settings, 1, cache)
            prepare(run)
            with RunProgress(run.settings.steps, console=Console(file=io.StringIO())) as progress:
                return run.execute(progress, stop)

    return call


@pytest.fixture(scope="session")
def stop_when() -> Callable[[int], Callable[[], bool]]:
    """``stop_when(k)``: a ``stop`` that ends a run after ``k`` steps."""
    from run_lab import stop_after

    return stop_after


@pytest.fixture
def whole(tune_tiny: Callable[..., RunResult], tmp_path: Path) -> SimpleNamespace:
    """An uninterrupted run of eight steps, in a folder that may be spoilt."""
    result = tune_tiny(tmp_path / "whole")
    return SimpleNamespace(path=tmp_path / "whole", result=result)
