"""`python scripts/bench accuracy`: tables of what is there, and words for what is not."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from bench import accuracy
from lab.accuracy.catalogue import METHODS
from lab.accuracy.corpora import PARTS, Sizes, corpus, write_rows
from lab.accuracy.jobs import Plan
from lab.accuracy.method import Budget
from lab.accuracy.results import Result, append_result
from seedtune.runtime.errors import EXIT_CODE

pytestmark = pytest.mark.traced  # the methods import torch


@pytest.fixture
def data(tmp_path: Path) -> Path:
    for part in PARTS:
        rows = [{"text": f"{part} {number}", "label": str(number % 2)} for number in range(20)]
        write_rows(rows, tmp_path / "data" / f"tweets-irony-{part}.jsonl")
    return tmp_path / "data"


def call(monkeypatch: pytest.MonkeyPatch, folder: Path, *arguments: object) -> None:
    monkeypatch.chdir(folder)
    monkeypatch.setattr(sys, "argv", ["accuracy", *map(str, arguments)])
    accuracy.main()


def result_of(plan: Plan, name: str, seed: int, correct: str) -> Result:
    key = next(key for _, method, number, key in plan.jobs() if (method.name, number) == (name, seed))
    outcome: dict[str, Any] = {"accuracy": correct.count("1") / len(correct), "loss": 0.5, "correct": correct}
    outcome |= {"seconds": 1.0, "example_passes": 40, "peak_bytes": None, "curve": []}
    return Result(json.loads(json.dumps(key)), outcome, {})


def test_a_table_is_made_of_the_results_that_are_there_and_nothing_is_run(
    data: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    tweets = corpus("irony", data, tmp_path, Sizes(8, 8, 10))
    file = tmp_path / "results.jsonl"
    plan = Plan("m", False, [tweets], list(METHODS.values()), 2, Budget(3, 300), tmp_path, file)
    other = Plan("m", False, [tweets], list(METHODS.values()), 2, Budget(1, 300), tmp_path, file)
    append_result(file, result_of(plan, "LoRA everywhere", 0, "1111111110"))
    append_result(file, result_of(plan, "LoRA last/10", 1, "1111111100"))
    # Of another budget.
    append_result(file, result_of(other, "LoRA last/10", 0, "0000000000"))
    sizes = ["--train-rows", 8, "--validation-rows", 8, "--test-rows", 10]
    call(monkeypatch, tmp_path, "--table", "--source", "m", "--data", data, "--tasks", "irony", "--results", file,
         "--seeds", 2, *sizes)  # fmt: skip
    printed = json.loads(capsys.readouterr().out.splitlines()[-1])
    figures = {what: (measured, bar) for what, measured, bar in printed["figures"]}
    assert figures["LoRA everywhere: irony"][0] == "90.0"
    assert figures["LoRA last/10: irony"][0] == "80.0"
    assert figures["LoRA last/10 above LoRA everywhere, mean of the tasks"] == ("-10.0", ">= -1.0 points")
    assert len(printed["results"]) == 2
    assert printed["curves"] == []


def test_a_task_that_is_named_and_not_there_ends_the_bench_with_a_remedy(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    with pytest.raises(SystemExit) as ended:
        call(monkeypatch, tmp_path, "--table", "--data", tmp_path, "--tasks", "irony")
    assert ended.value.code == EXIT_CODE
    assert "tweets-irony-train.jsonl" in (said := capsys.readouterr().err)
    assert "--data" in said


def test_tasks_that_are_not_there_are_left_out_and_told_when_none_is_named(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path, data: Path
) -> None:
    monkeypatch.setattr(accuracy, "SOURCES", dict.fromkeys(["irony", "tweet-sentiment"]))
    call(monkeypatch, tmp_path, "--table", "--data", data)
    out, said = capsys.readouterr()
    assert "task tweet-sentiment is left out: " in said
    assert "irony is left out" not in said
    assert json.loads(out.splitlines()[-1])["results"] == []


def test_a_method_that_there_is_not_is_refused_with_those_that_there_are(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path, data: Path
) -> None:
    with pytest.raises(SystemExit):
        call(monkeypatch, tmp_path, "--table", "--data", data, "--tasks", "irony", "--methods", "LoRA")
    assert "LoRA everywhere" in capsys.readouterr().err
