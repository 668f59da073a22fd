"""Divergence, signals, kills and full disks, from outside: exit codes, messages, and a run that can go on."""

from __future__ import annotations

import json
import resource
import signal
from pathlib import Path
from types import SimpleNamespace

import pytest
from cli_lab import Seedtune, last_json, refused, start, wait_for_steps

from seedtune.runtime.journal.file import read_journal

LONG = ["--batch-size", 8, "--eval-every", 100_000, "--learning-rate", 0.01, "--threads", 1]


def test_divergence_exits_2_and_the_last_good_state_can_be_evaluated(
    seedtune: Seedtune, tiny_bundle: Path, tiny_data: SimpleNamespace, tmp_path: Path
) -> None:
    out = tmp_path / "run"
    done = seedtune(
        "run", tiny_bundle, "--train", tiny_data.train, "--eval", tiny_data.eval, "--out", out, "--steps", 9,
        "--learning-rate", "1e30", "--json",
    )  # fmt: skip
    refused(done, "not finite", "--learning-rate")
    steps = read_journal(out / "journal.bin").steps
    assert 0 < steps < 9
    evaluated = seedtune("eval", out, "--data", tiny_data.eval, "--json")
    assert evaluated.returncode == 0, evaluated.stderr
    assert last_json(evaluated)["loss"] is not None
    refused(seedtune("run", tiny_bundle, "--out", out, "--resume"), "not finite")
    assert read_journal(out / "journal.bin").steps == steps


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_polite_stop_exits_130_and_says_so(
    entry_point: list[str], tiny_bundle: Path, tiny_data: SimpleNamespace, tmp_path: Path, number: int
) -> None:
    out = tmp_path / "run"
    arguments = ("--train", tiny_data.train, "--out", out, "--steps", 100_000, *LONG, "--json")
    process = start(entry_point, "run", tiny_bundle, *arguments)
    wait_for_steps(process, out, 5)
    process.send_signal(number)
    stdout, stderr = process.communicate(timeout=60)
    assert process.returncode == 130, stderr
    assert "Traceback" not in stderr
    assert "--resume" in stderr
    result = json.loads(stdout.splitlines()[-1])
    assert result["interrupted"] is True
    assert result["steps"] == len(read_journal(out / "journal.bin")) >= 5


def test_a_killed_run_goes_on_as_if_nothing_had_happened(
    seedtune: Seedtune, entry_point: list[str], tiny_bundle: Path, tiny_data: SimpleNamespace, tmp_path: Path
) -> None:
    steps = 400
    common = ("--train", tiny_data.train, "--steps", steps, *LONG, "--json")
    whole = seedtune("run", tiny_bundle, "--out", tmp_path / "whole", *common)
    process = start(entry_point, "run", tiny_bundle, "--out", tmp_path / "cut", *common)
    wait_for_steps(process, tmp_path / "cut", 7)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    done = read_journal(tmp_path / "cut" / "journal.bin").steps
    assert 7 <= done < steps, "the case is no test: the run was over"
    resumed = seedtune("run", tiny_bundle, "--out", tmp_path / "cut", "--resume", "--json", "--threads", 1)
    assert resumed.returncode == 0, resumed.stderr
    assert last_json(resumed)["state_sha256"] == last_json(whole)["state_sha256"]
    raw = [(tmp_path / name / "journal.bin").read_bytes() for name in ("whole", "cut")]
    assert raw[0] == raw[1]


def test_a_second_process_on_the_same_folder_is_refused(
    seedtune: Seedtune, entry_point: list[str], tiny_bundle: Path, tiny_data: SimpleNamespace, tmp_path: Path
) -> None:
    out = tmp_path / "run"
    process = start(
        entry_point, "run", tiny_bundle, "--train", tiny_data.train, "--out", out, "--steps", 100_000, *LONG
    )
    try:
        wait_for_steps(process, out, 2)
        refused(seedtune("run", tiny_bundle, "--out", out, "--resume"), "another run is writing")
    finally:
        process.kill()
        process.communicate()


def test_a_disk_that_gets_full_is_a_message_and_the_run_can_be_resumed(
    seedtune: Seedtune, entry_point: list[str], tiny_bundle: Path, tiny_data: SimpleNamespace, tmp_path: Path
) -> None:
    """A limit on file size stands in for the disk: the step log reaches it first."""
    out = tmp_path / "run"

    def limit() -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (8192, 8192))

    common = ("--train", tiny_data.train, "--steps", 60, *LONG)
    done = seedtune("run", tiny_bundle, "--out", out, *common, preexec_fn=limit)
    refused(done, "steps.jsonl")
    made = read_journal(out / "journal.bin").steps
    assert 0 < made < 60
    resumed = seedtune("run", tiny_bundle, "--out", out, "--resume", "--json", "--threads", 1)
    assert resumed.returncode == 0, resumed.stderr
    assert last_json(resumed)["steps"] == 60


def test_a_journal_that_cannot_be_written_is_a_message(
    seedtune: Seedtune, finished_run: SimpleNamespace, tiny_bundle: Path, tiny_data: SimpleNamespace, tmp_path: Path
) -> None:
    out = tmp_path / "run"

    def limit() -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        size = (finished_run.path / "run.json").stat().st_size
        resource.setrlimit(resource.RLIMIT_FSIZE, (size + 64, size + 64))

    done = seedtune(
        "run", tiny_bundle, "--train", tiny_data.train, "--out", out, "--steps", 500, *LONG, preexec_fn=limit
    )
    refused(done, "run")
