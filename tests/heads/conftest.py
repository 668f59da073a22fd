"""Bundles of heads, and runs of them; made once, read-only."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from heads_lab import digits, robust, saved

import seedtune
from seedtune.events import Finished, RunResult

# Of short runs.
SETTINGS: dict[str, Any] = {"steps": 12, "batch_size": 16, "eval_every": 6, "seed": 3, "learning_rate": 5e-3}


@pytest.fixture(scope="session")
def heads_bundle(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """``heads_bundle(objective, **options)``: a bundle of digits, or of robust and non-robust features."""
    made: dict[str, Path] = {}

    def give(objective: str, **options: Any) -> Path:
        key = f"{objective} {sorted(options.items())}"
        if key not in made:
            folder = tmp_path_factory.mktemp("heads")
            arrays = digits() if objective == "contrastive" else robust()
            more: dict[str, Any] = {"negatives": 48} if objective == "contrastive" else {}
            source = saved(folder / "features.npz", arrays)
            seedtune.export(source, objective=objective, out=folder / "bundle", **more | options)
            made[key] = folder / "bundle"
        return made[key]

    return give


@pytest.fixture
def tune_heads() -> Callable[..., RunResult]:
    """``tune_heads(bundle, out, **options)``: a short run with one thread."""

    def call(bundle: Path, out: Path, **options: Any) -> RunResult:
        with seedtune.open(bundle, threads=1) as model:
            given = options if options.get("resume") else SETTINGS | options
            *_, last = model.tune(out=out, **given)
        assert isinstance(last, Finished)
        return last.result

    return call
