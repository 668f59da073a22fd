"""A finished run."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest


@pytest.fixture(scope="session")
def finished_run(
    seedtune: Callable[..., subprocess.CompletedProcess],
    tiny_bundle: Path,
    tiny_data: SimpleNamespace,
    tmp_path_factory: pytest.TempPathFactory,
) -> SimpleNamespace:
    """A run of six steps through the command line; read-only."""
    from cli_lab import last_json

    out = tmp_path_factory.mktemp("cli") / "run"
    done = seedtune(
        "run", tiny_bundle, "--train", tiny_data.train, "--eval", tiny_data.eval, "--out", out, "--steps", 6,
        "--batch-size", 8, "--eval-every", 2, "--learning-rate", 0.05, "--seed", 3, "--threads", 1, "--json",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return SimpleNamespace(path=out, done=done, json=last_json(done))
