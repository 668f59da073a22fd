"""The command line from outside: processes, exit codes, the last line of ``--json``, and what errors look like."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
from cli_lab import Seedtune, last_json, refused

from seedtune.runtime.journal.file import read_journal

RUN_FIELDS = {
    "steps",
    "loss_start",
    "loss_end",
    "state_sha256",
    "journal",
    "probe_ms_median",
    "rss_anon_peak_bytes",
}


def test_the_console_script_is_installed() -> None:
    script = Path(sys.executable).parent / "seedtune"
    done = subprocess.run([script, "--version"], capture_output=True, text=True, check=False)
    assert done.returncode == 0
    assert done.stdout.startswith("seedtune ")


def test_run_prints_its_result_as_the_last_line(finished_run: SimpleNamespace) -> None:
    result = finished_run.json
    assert set(result) >= RUN_FIELDS
    assert result["steps"] == 6
    assert result["interrupted"] is False
    assert Path(result["journal"]) == finished_run.path / "journal.bin"
    assert read_journal(Path(result["journal"])).steps == 6
    assert len(result["state_sha256"]) == 64
    assert result["probe_ms_median"] > 0
    assert result["rss_anon_peak_bytes"] > 1_000_000
    assert result == json.loads((finished_run.path / "result.json").read_text())
    assert len(finished_run.done.stdout.splitlines()) == 1


def test_eval_of_a_run_and_of_a_bundle(
    seedtune: Seedtune, finished_run: SimpleNamespace, tiny_bundle: Path, tiny_data: SimpleNamespace, tmp_path: Path
) -> None:
    predictions = tmp_path / "predictions.jsonl"
    of_run = seedtune(
        "eval", finished_run.path, "--data", tiny_data.eval, "--step", 6, "--predictions", predictions, "--json"
    )
    assert of_run.returncode == 0, of_run.stderr
    result = last_json(of_run)
    assert set(result) >= {"accuracy", "loss", "examples"}
    assert result["examples"] == 24
    assert result["loss"] == pytest.approx(finished_run.json["loss_end"], rel=1e-5)
    assert result["state_sha256"] == finished_run.json["state_sha256"]
    rows = [json.loads(line) for line in predictions.read_text().splitlines()]
    assert sum(row["prediction"] == row["label"] for row in rows) / 24 == pytest.approx(result["accuracy"])
    of_bundle = last_json(seedtune("eval", tiny_bundle, "--data", tiny_data.eval, "--json"))
    assert of_bundle["loss"] == pytest.approx(finished_run.json["loss_zero_shot"], rel=1e-5)


def test_report_writes_a_page(seedtune: Seedtune, finished_run: SimpleNamespace, tmp_path: Path) -> None:
    pytest.importorskip("plotly")
    done = seedtune("report", finished_run.path, "--out", tmp_path / "page.html", "--json")
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
    "export": "SOURCE --task --out --storage --targets --rank --adapter-seed --scope --context-storage "
    "--check --no-check --overwrite --json",
    "run": "BUNDLE --out --train --eval --steps --batch-size --learning-rate --epsilon --seed --schedule "
    "--eval-every --rows-per-call --resume --cache --cache-limit --threads --json",
    "eval": "MODEL --data --bundle --step --predictions --rows-per-call --cache --cache-limit --threads --json",
    "predict": "MODEL TEXT --data --bundle --step --state --rows-at-once --data-format --cache --threads --json",
    "generate": "MODEL PROMPT --data --raw --chat --system --max-tokens --temperature --top-p --seed --stop "
    "--state --json",
    "chat": "MODEL --system --max-tokens --temperature --top-p --seed --state",
    "serve": "MODEL --port --host --name --state",
    "replay": "RUN|JOURNAL --bundle --until --out --json",
    "adapter": "MODEL --format --out --without-head --state --json",
    "merge": "MODEL --format --out --source --without-head --shard-size --state --json",
    "card": "RUN --out --license --json",
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
    seedtune: Seedtune, finished_run: SimpleNamespace, tiny_bundle: Path, tiny_data: SimpleNamespace, tmp_path: Path
) -> None:
    train = ("--train", tiny_data.train)
    bad = tmp_path / "bad.jsonl"
    bad.write_text('{"text": "fine", "label": "0"}\n{"txt": "x", "label": "1"}\n')
    refused(seedtune("run", tmp_path / "none", *train, "--out", tmp_path / "r1"), "neither a bundle nor a run")
    refused(seedtune("run", tiny_bundle, *train, "--out", finished_run.path), "--resume")
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
        "--context-storage",
        "int8",
        "--no-check",
        "--no-decode",
        "--json",
    )
    assert done.returncode == 0, done.stderr
    result = last_json(done)
    assert result["architecture"] == "LlamaForCausalLM"
    assert result["checked"] is False
    # The upper of two layers, two key heads; eight numbers of a byte and a scale of two, for keys and for values.
    assert (result["scope"], result["layers"], result["context_bytes_per_token"]) == ("last", 1, 2 * 2 * (8 + 2))
    ran = seedtune("run", tmp_path / "b", "--train", tiny_data.train, "--out", tmp_path / "r", "--steps", 1)
    assert ran.returncode == 0, ran.stderr
