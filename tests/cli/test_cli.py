"""The command line from outside: processes, exit codes, the last line of ``--json``, and what errors look like."""

from __future__ import annotations

import json
import os
import resource
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest

from seedtune.runtime.journal.file import read_journal

Seedtune = Callable[..., subprocess.CompletedProcess]
RUN_FIELDS = {
    "steps",
    "loss_start",
    "loss_end",
    "state_sha256",
    "journal",
    "probe_ms_median",
    "rss_anon_peak_bytes",
}
LONG = ["--batch-size", 8, "--eval-every", 100_000, "--learning-rate", 0.01, "--threads", 1]


def last_json(done: subprocess.CompletedProcess) -> dict:
    return json.loads(done.stdout.splitlines()[-1])


def refused(done: subprocess.CompletedProcess, *expected: str) -> None:
    assert done.returncode == 2, (done.returncode, done.stdout, done.stderr)
    assert "Traceback" not in done.stderr + done.stdout
    for text in expected:
        assert text in done.stderr


@pytest.fixture(scope="module")
def finished(
    seedtune: Seedtune, tiny_bundle: Path, tiny_data: SimpleNamespace, tmp_path_factory: pytest.TempPathFactory
) -> SimpleNamespace:
    """A run of six steps through the command line; read-only."""
    out = tmp_path_factory.mktemp("cli") / "run"
    done = seedtune(
        "run", tiny_bundle, "--train", tiny_data.train, "--eval", tiny_data.eval, "--out", out, "--steps", 6,
        "--batch-size", 8, "--eval-every", 2, "--learning-rate", 0.05, "--seed", 3, "--threads", 1, "--json",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return SimpleNamespace(path=out, done=done, json=last_json(done))


def test_the_console_script_is_installed() -> None:
    script = Path(sys.executable).parent / "seedtune"
    done = subprocess.run([script, "--version"], capture_output=True, text=True, check=False)
    assert done.returncode == 0
    assert done.stdout.startswith("seedtune ")


def test_run_prints_its_result_as_the_last_line(finished: SimpleNamespace) -> None:
    result = finished.json
    assert set(result) >= RUN_FIELDS
    assert result["steps"] == 6
    assert result["interrupted"] is False
    assert Path(result["journal"]) == finished.path / "journal.bin"
    assert len(read_journal(Path(result["journal"]))) == 6
    assert len(result["state_sha256"]) == 64
    assert result["probe_ms_median"] > 0
    assert result["rss_anon_peak_bytes"] > 1_000_000
    assert result == json.loads((finished.path / "result.json").read_text())
    assert len(finished.done.stdout.splitlines()) == 1


def test_eval_of_a_run_and_of_a_bundle(
    seedtune: Seedtune, finished: SimpleNamespace, tiny_bundle: Path, tiny_data: SimpleNamespace, tmp_path: Path
) -> None:
    predictions = tmp_path / "predictions.jsonl"
    of_run = seedtune(
        "eval", finished.path, "--data", tiny_data.eval, "--step", 6, "--predictions", predictions, "--json"
    )
    assert of_run.returncode == 0, of_run.stderr
    result = last_json(of_run)
    assert set(result) >= {"accuracy", "loss", "examples"}
    assert result["examples"] == 24
    assert result["loss"] == pytest.approx(finished.json["loss_end"], rel=1e-5)
    assert result["state_sha256"] == finished.json["state_sha256"]
    rows = [json.loads(line) for line in predictions.read_text().splitlines()]
    assert sum(row["prediction"] == row["label"] for row in rows) / 24 == pytest.approx(result["accuracy"])
    of_bundle = last_json(seedtune("eval", tiny_bundle, "--data", tiny_data.eval, "--json"))
    assert of_bundle["loss"] == pytest.approx(finished.json["loss_start"], rel=1e-5)


def test_report_writes_a_page(seedtune: Seedtune, finished: SimpleNamespace, tmp_path: Path) -> None:
    pytest.importorskip("plotly")
    done = seedtune("report", finished.path, "--out", tmp_path / "page.html", "--json")
    assert done.returncode == 0, done.stderr
    page = (tmp_path / "page.html").read_text("utf-8")
    assert page.lstrip().lower().startswith("<!doctype html")
    assert last_json(done)["size_bytes"] == (tmp_path / "page.html").stat().st_size


def test_doctor_works(seedtune: Seedtune) -> None:
    done = seedtune("doctor", "--json")
    assert done.returncode == 0, done.stderr
    names = [finding["name"] for finding in last_json(done)["findings"]]
    assert {"Python", "ONNX Runtime", "extra export"} <= set(names)


DOCUMENTED = {
    "export": "SOURCE --task --out --storage --targets --rank --adapter-seed --check --no-check --overwrite --json",
    "run": "BUNDLE --out --train --eval --steps --batch-size --learning-rate --epsilon --seed --schedule "
    "--eval-every --rows-per-call --resume --threads --json",
    "eval": "MODEL --data --bundle --step --predictions --rows-per-call --threads --json",
    "report": "RUN --out --json",
    "doctor": "--json",
}


@pytest.mark.parametrize("command", DOCUMENTED)
def test_help_names_every_option_and_shows_an_example(command: str) -> None:
    from typer.testing import CliRunner

    from seedtune.runtime.cli.main import app

    done = CliRunner().invoke(app, [command, "--help"], env={"COLUMNS": "200", "NO_COLOR": "1", "TERM": "dumb"})
    assert done.exit_code == 0
    for name in DOCUMENTED[command].split():
        assert name.lower() in done.output.lower(), name
    assert f"seedtune {command}" in done.output.replace("Usage: seedtune", "")


def test_every_refusal_is_a_message_without_a_traceback(
    seedtune: Seedtune, finished: SimpleNamespace, tiny_bundle: Path, tiny_data: SimpleNamespace, tmp_path: Path
) -> None:
    train = ("--train", tiny_data.train)
    bad = tmp_path / "bad.jsonl"
    bad.write_text('{"text": "fine", "label": "0"}\n{"txt": "x", "label": "1"}\n')
    refused(seedtune("run", tmp_path / "none", *train, "--out", tmp_path / "r1"), "no such bundle folder")
    refused(seedtune("run", tiny_bundle, *train, "--out", finished.path), "--resume")
    refused(seedtune("run", tiny_bundle, "--train", bad, "--out", tmp_path / "r2"), "bad.jsonl:2", "did you mean")
    refused(seedtune("run", tiny_bundle, "--train", tmp_path / "no.csv", "--out", tmp_path / "r3"), "no.csv")
    refused(seedtune("run", tiny_bundle, "--out", tmp_path / "r4"), "--train")
    refused(seedtune("run", tiny_bundle, *train, "--out", tmp_path / "r5", "--steps", 0), "--steps")
    refused(seedtune("eval", tmp_path, "--data", tiny_data.eval), "neither a bundle nor a run")


def test_a_mistyped_option_or_command_is_refused(seedtune: Seedtune, tiny_bundle: Path) -> None:
    refused(seedtune("run", tiny_bundle, "--out", "r", "--step", 5), "--step")
    refused(seedtune("tune"), "tune")


def test_a_run_that_was_refused_can_be_started_again_in_the_same_folder(
    seedtune: Seedtune, tiny_bundle: Path, tiny_data: SimpleNamespace, tmp_path: Path
) -> None:
    out = tmp_path / "run"
    refused(seedtune("run", tiny_bundle, "--train", tmp_path / "typo.csv", "--out", out), "typo.csv")
    done = seedtune("run", tiny_bundle, "--train", tiny_data.train, "--out", out, "--steps", 1)
    assert done.returncode == 0, done.stderr


def test_a_light_installation_names_the_extra_for_export(tmp_path: Path) -> None:
    blocker = """
import sys
class NoTorch:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in ("torch", "transformers", "onnx_ir", "onnx"):
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
sys.meta_path.insert(0, NoTorch())
from seedtune.runtime.cli.main import run
run()
"""
    command = [sys.executable, "-c", blocker, "export", "model", "--task", "sentiment", "--out", str(tmp_path / "b")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    refused(done, "seedtune[export]")
    assert not (tmp_path / "b").exists()


def test_divergence_exits_2_and_the_last_good_state_can_be_evaluated(
    seedtune: Seedtune, tiny_bundle: Path, tiny_data: SimpleNamespace, tmp_path: Path
) -> None:
    out = tmp_path / "run"
    done = seedtune(
        "run", tiny_bundle, "--train", tiny_data.train, "--eval", tiny_data.eval, "--out", out, "--steps", 9,
        "--learning-rate", "1e30", "--json",
    )  # fmt: skip
    refused(done, "not finite", "--learning-rate")
    steps = len(read_journal(out / "journal.bin"))
    assert 0 < steps < 9
    evaluated = seedtune("eval", out, "--data", tiny_data.eval, "--json")
    assert evaluated.returncode == 0, evaluated.stderr
    assert last_json(evaluated)["loss"] is not None
    refused(seedtune("run", tiny_bundle, "--out", out, "--resume"), "not finite")
    assert len(read_journal(out / "journal.bin")) == steps


def start(entry_point: list[str], *arguments: object) -> subprocess.Popen:
    environment = os.environ | {"NO_COLOR": "1", "TERM": "dumb"}
    command = [*entry_point, *map(str, arguments)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment)


def wait_for_steps(process: subprocess.Popen, out: Path, steps: int) -> None:
    """Until the step log of ``out`` has ``steps`` lines."""
    log, deadline = out / "steps.jsonl", time.monotonic() + 60
    while not log.exists() or log.read_bytes().count(b"\n") < steps:
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.005)


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
    done = len(read_journal(tmp_path / "cut" / "journal.bin"))
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
    made = len(read_journal(out / "journal.bin"))
    assert 0 < made < 60
    resumed = seedtune("run", tiny_bundle, "--out", out, "--resume", "--json", "--threads", 1)
    assert resumed.returncode == 0, resumed.stderr
    assert last_json(resumed)["steps"] == 60


def test_a_journal_that_cannot_be_written_is_a_message(
    seedtune: Seedtune, finished: SimpleNamespace, tiny_bundle: Path, tiny_data: SimpleNamespace, tmp_path: Path
) -> None:
    out = tmp_path / "run"

    def limit() -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        size = (finished.path / "run.json").stat().st_size
        resource.setrlimit(resource.RLIMIT_FSIZE, (size + 64, size + 64))

    done = seedtune(
        "run", tiny_bundle, "--train", tiny_data.train, "--out", out, "--steps", 500, *LONG, preexec_fn=limit
    )
    refused(done, "run")


def test_export_from_the_command_line_makes_a_bundle_that_runs(
    seedtune: Seedtune, tiny_checkpoint: Path, tiny_task_file: Path, tiny_data: SimpleNamespace, tmp_path: Path
) -> None:
    done = seedtune(
        "export",
        tiny_checkpoint,
        "--task",
        tiny_task_file,
        "--out",
        tmp_path / "b",
        "--rank",
        2,
        "--no-check",
        "--json",
    )
    assert done.returncode == 0, done.stderr
    result = last_json(done)
    assert result["architecture"] == "LlamaForCausalLM"
    assert result["checked"] is False
    shutil.rmtree(tmp_path / "r", ignore_errors=True)
    ran = seedtune("run", tmp_path / "b", "--train", tiny_data.train, "--out", tmp_path / "r", "--steps", 1)
    assert ran.returncode == 0, ran.stderr
