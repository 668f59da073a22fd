"""``--budget``, ``--patience`` and ``--held-out-rows`` on the command line, and what ``--json`` says of them."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest
from cli_lab import Seedtune, last_json, refused


@pytest.mark.parametrize(
    ("option", "value", "what"),
    [
        ("--budget", "0", "--budget is not a duration"),
        ("--budget", "banana", "--budget is not a duration"),
        ("--patience", "-1", "--patience is out of range"),
        ("--held-out-rows", "-1", "--held-out-rows is out of range"),
        ("--held-out-rows", "64", "too many held-out rows"),
    ],
)
def test_what_cannot_be_is_refused_by_name(
    seedtune: Seedtune,
    tiny_bundle: Path,
    tiny_data: SimpleNamespace,
    tmp_path: Path,
    option: str,
    value: str,
    what: str,
) -> None:
    arguments = ("run", tiny_bundle, "--train", tiny_data.train, "--out", tmp_path / "run", f"{option}={value}")
    refused(seedtune(*arguments), what, "rule")
    assert not (tmp_path / "run" / "journal.bin").exists()


def test_json_says_what_was_expected_and_what_each_stage_reached(
    seedtune: Seedtune, tiny_bundle: Path, tiny_data: SimpleNamespace, tmp_path: Path
) -> None:
    data = ("--train", tiny_data.train, "--held-out-rows", 20, "--out", tmp_path / "run")
    pinned = ("--estimator", "two-sided", "--steps", 12, "--threads", 1)
    done = seedtune("run", tiny_bundle, *data, "--budget", "5m", *pinned, "--json")
    assert done.returncode == 0, done.stderr
    said = last_json(done)
    assert "20 of 64 training rows are held out" in done.stderr
    assert said["expected"]["reason"] in done.stderr
    assert "expected: two-sided" in done.stderr
    assert 0 < said["expected"]["steps"] <= 12
    stages = ("zero_shot", "linear_probe", "tuned")
    for name in stages:
        assert 0 <= said[f"accuracy_{name}"] <= 1
        assert said[f"loss_{name}"] > 0
    # What is kept is never worse by held-out loss than any of them.
    kept = {"zero-shot": "zero_shot", "linear-probe": "linear_probe", "tuned": "tuned"}[said["stands_for"]]
    assert said[f"loss_{kept}"] == min(said[f"loss_{name}"] for name in stages)
    assert "gain over the linear probe" in done.stderr
    assert said["gain"]["is_gain"] == ("no gain" not in done.stderr)
