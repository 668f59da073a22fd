"""Short runs of the tiny bundle, in this process."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from run_lab import DEFAULTS

import seedtune
from seedtune.runtime.model.feeders import NO_CACHE, CacheOptions
from seedtune.runtime.telemetry.events import Event, Step
from seedtune.runtime.telemetry.records import RunResult

UNSET: Any = object()


@pytest.fixture
def tune_tiny(tiny_bundle: Path, tiny_data: SimpleNamespace) -> Callable[..., RunResult]:
    """Runs the tiny bundle on the tiny data; keyword arguments are settings, or replace the files.

    A setting that is None is left out, the defaults here too.
    """

    def call(
        out: Path,
        *,
        resume: bool = False,
        stop: Callable[[], bool] = lambda: False,
        bundle: Path = tiny_bundle,
        train: Any = UNSET,
        held_out: Any = UNSET,
        prepare: Callable[[Event], None] = lambda _event: None,
        cache: CacheOptions = NO_CACHE,
        **options: Any,
    ) -> RunResult:
        if train is UNSET:
            train = None if resume else tiny_data.train
        if held_out is UNSET:
            held_out = None if resume else tiny_data.eval
        given: dict[str, Any] = options if resume else {**DEFAULTS, **options}
        settings = {name: value for name, value in given.items() if value is not None}
        with seedtune.open(bundle, threads=1) as model:
            if held_out is None and not resume and "held_out_rows" not in given:
                # None at all, unless a test is about those that are split off.
                settings["held_out_rows"] = 0
            tuning = model.tune(
                train, held_out, out=out, resume=resume, cache=cache.folder, cache_limit=cache.limit_bytes, **settings
            )
            for event in tuning:
                prepare(event)
                if isinstance(event, Step) and stop():
                    tuning.stop()
            return tuning.result

    return call


@pytest.fixture(scope="session")
def gradient_bundle(bundle_of: Callable[..., Path]) -> Path:
    """A bundle of scope "last" in one layer of two, with a gradient graph."""
    return bundle_of("causal", "last", "fp16", "fp32", 1)


@pytest.fixture
def tune_open(gradient_bundle: Path, tune_tiny: Callable[..., RunResult]) -> Callable[..., RunResult]:
    """Runs that bundle with nothing given that a budget could choose, but a ceiling of steps."""
    free: dict[str, Any] = dict.fromkeys(("batch_size", "learning_rate", "eval_every")) | {"steps": 30}

    def call(out: Path, **options: Any) -> RunResult:
        return tune_tiny(out, bundle=gradient_bundle, **({} if options.get("resume") else free) | options)

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


@pytest.fixture(scope="session")
def runs(tiny_bundle: Path, tiny_data: SimpleNamespace, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Runs of the tiny bundle by name."""
    root = tmp_path_factory.mktemp("runs")
    common: dict[str, Any] = {"steps": 6, "batch_size": 8, "learning_rate": 0.1, "held_out_rows": 0}
    settings: dict[str, dict[str, Any]] = {
        "plain": {"seed": 5, "start": "zero"},
        "other": {"seed": 6, "start": "zero", "optimizer": "momentum"},
        "mean": {"seed": 7, "start": "zero", "average": 0.5},
        "several": {"seed": 8, "start": "zero", "estimator": "one-sided", "directions": 3, "optimizer": "standardised"},
        "probe": {"seed": 9},
    }
    for name, own in settings.items():
        with seedtune.open(tiny_bundle, threads=1) as model:
            for _ in model.tune(tiny_data.train, out=root / name, **common, **own):
                pass
    return {name: root / name for name in settings}
