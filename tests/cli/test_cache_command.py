"""``seedtune cache`` and ``export --context-on-host``: what they print, and that a run finds what was made."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest

Call = Callable[..., "subprocess.CompletedProcess[str]"]
QUICK = ["--steps", 2, "--batch-size", 8, "--seed", 3, "--threads", 1, "--json"]


@pytest.fixture(scope="module")
def desk(bundle_of: Callable[..., Path]) -> Path:
    """A bundle with all its files."""
    return bundle_of("causal", "last", "fp16", "fp32", 1, True)


def last_line(done: subprocess.CompletedProcess[str]) -> dict[str, object]:
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def test_contexts_that_the_desk_made_are_all_that_a_phone_needs(
    seedtune: Call, desk: Path, tiny_data: SimpleNamespace, tmp_path: Path
) -> None:
    contexts, phone = tmp_path / "contexts", tmp_path / "phone"
    shutil.copytree(desk, phone, ignore=shutil.ignore_patterns("context.*"))
    run = ["run", phone, "--train", tiny_data.train, "--eval", tiny_data.eval, "--cache", contexts, *QUICK]
    refused = seedtune(*run, "--out", tmp_path / "refused")
    assert refused.returncode == 2
    assert f"{tiny_data.train}:1: 64 of 64 rows (train) have no context in the cache" in refused.stderr
    assert f"seedtune cache phone --data {tiny_data.train} --out contexts --name train" in refused.stderr
    made = seedtune("cache", desk, "--data", tiny_data.train, "--out", contexts, "--threads", 1, "--json")
    about = last_line(made)
    assert about["computed_rows"] == about["rows"]
    assert about["size_bytes"] == Path(str(about["cache"])).stat().st_size
    # The size is told before anything is computed.
    assert made.stderr.index("train: context cache of") < made.stderr.index("computed in")
    last_line(seedtune("cache", desk, "--data", tiny_data.eval, "--out", contexts, "--name", "eval", "--json"))
    found = last_line(seedtune(*run, "--out", tmp_path / "run"))
    expected = last_line(seedtune(*["run", desk, *run[2:]], "--out", tmp_path / "desk"))
    assert found["state_sha256"] == expected["state_sha256"]
    again = last_line(seedtune("cache", desk, "--data", tiny_data.train, "--out", contexts, "--json"))
    assert again["computed_rows"] == 0


def test_an_export_says_what_a_phone_must_hold(
    seedtune: Call, tiny_checkpoint: Path, tiny_task_file: Path, tmp_path: Path
) -> None:
    out = tmp_path / "bundle"
    options = ["--task", tiny_task_file, "--out", out, "--no-check", "--json", "--context-on-host"]
    refused = seedtune("export", tiny_checkpoint, *options, "--scope", "last")
    assert refused.returncode == 2
    assert "nothing could be left to the desk" in refused.stderr
    done = seedtune("export", tiny_checkpoint, *options)
    about = last_line(done)
    host = [path for path in out.iterdir() if path.name.startswith("context.")]
    assert about["host_bytes"] == sum(path.stat().st_size for path in host) > 0
    assert about["phone_bytes"] == sum(path.stat().st_size for path in out.iterdir()) - sum(
        path.stat().st_size for path in [*host, out / "manifest.json"]
    )
    assert "a phone must hold" in done.stderr
    assert "context.safetensors" in done.stderr
