"""Kills at random instants: a run that says ``--resume`` at each start ends as one that nobody killed."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

BENCH = Path(__file__).parents[2] / "scripts" / "bench"


@pytest.mark.parametrize(("kills", "seed"), [(20, 1), pytest.param(300, 2, marks=pytest.mark.slow)])
def test_a_run_that_is_killed_at_any_instant_ends_as_if_nothing_had_happened(
    suffix_bundle: Path, gradient_bundle: Path, kills: int, seed: int
) -> None:
    """By the bench, in a process of its own: what forks should have opened nothing."""
    given = ["--kills", kills, "--seed", seed, "--probes", suffix_bundle, "--gradients", gradient_bundle]
    command = [sys.executable, BENCH, "--no-record", "soak_kill", *given]
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    figures: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    assert figures["kills"] == kills
    assert figures["runs"] > 0
    assert (figures["stuck"], figures["changed"], figures["lost_steps"]) == (0, 0, 0)
    assert kills < 300 or all(any(kind["by_phase"][part] for kind in figures["kinds"].values()) for part in PARTS)


PARTS = ("opening", "caching", "solving the start", "stepping", "evaluating", "writing results")
