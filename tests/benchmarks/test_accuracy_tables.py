"""Results outlive a stop, and tables are made of what is there."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from lab.accuracy import table
from lab.accuracy.results import Result, append_result, find_result, read_results
from seedtune.runtime.errors import SeedTuneError

TASKS = ["reviews", "irony"]
METHODS = ["zero-shot", "LoRA everywhere", "LoRA last/10", "never run"]


def result(task: str, method: str, seed: int, correct: str, peak_bytes: int | None = None) -> Result:
    key = {
        "source": "m",
        "task": {"name": task, "sha256": "0"},
        "method": method,
        "seed": seed,
        "rows": {},
        "settings": {},
    }
    accuracy = correct.count("1") / len(correct)
    outcome = {"accuracy": accuracy, "loss": 0.5, "seconds": 2.0, "example_passes": 8, "correct": correct}
    return Result(key, outcome | {"peak_bytes": peak_bytes}, {})


PARTIAL = [
    result("reviews", "zero-shot", 0, "1100"),
    result("reviews", "LoRA everywhere", 0, "1110", 5_000_000),
    result("reviews", "LoRA everywhere", 1, "1111", 7_000_000),
    result("reviews", "LoRA everywhere", 2, "0111", 6_000_000),
    result("reviews", "LoRA last/10", 0, "1111"),
    result("irony", "zero-shot", 0, "1000"),
]


def test_what_was_appended_is_read(tmp_path: Path) -> None:
    file = tmp_path / "new" / "results.jsonl"
    assert read_results(file) == []
    for one in PARTIAL:
        append_result(file, one)
    assert read_results(file) == PARTIAL


def test_a_line_that_a_stop_has_torn_costs_that_line_only(tmp_path: Path) -> None:
    file = tmp_path / "results.jsonl"
    append_result(file, PARTIAL[0])
    whole = file.read_bytes()
    file.write_bytes(whole + whole[:20])
    assert read_results(file) == PARTIAL[:1]
    append_result(file, PARTIAL[1])
    assert read_results(file) == PARTIAL[:2]


@pytest.mark.parametrize("line", ["[]", "{}", '{"key": {}, "outcome": {}, "origin": {}}', "null", "7"])
def test_a_line_that_is_no_result_is_refused_by_its_place(tmp_path: Path, line: str) -> None:
    file = tmp_path / "results.jsonl"
    append_result(file, PARTIAL[0])
    file.write_text(file.read_text() + line + "\n")
    with pytest.raises(SeedTuneError, match="no result of this bench") as refused:
        read_results(file)
    assert f"{file}:2" in str(refused.value)


def test_a_result_is_found_by_its_whole_key_and_the_newest_wins() -> None:
    newer = result("reviews", "zero-shot", 0, "0000")
    assert find_result([*PARTIAL, newer], PARTIAL[0].key) is newer
    for change in ({"seed": 1}, {"rows": {"train": 9}}, {"settings": {"epochs": 2}}, {"source": "n"}):
        assert find_result(PARTIAL, PARTIAL[0].key | change) is None
    # JSON knows no tuples.
    kept = result("reviews", "probe", 0, "11")
    kept.key["settings"] = json.loads(json.dumps({"strengths": (1, 2)}))
    assert find_result([kept], kept.key | {"settings": {"strengths": (1, 2)}}) is kept


def test_a_table_of_some_results_shows_what_is_there_and_dashes() -> None:
    found = table.cells(PARTIAL)
    half = 100 * stats.t.interval(0.95, 2, scale=stats.sem([0.75, 1.0, 0.75]))[1]
    assert table.accuracy_rows(found, METHODS, TASKS) == [
        ["zero-shot", "50.0", "25.0"],
        ["LoRA everywhere", f"83.3 ± {half:.1f} (3)", "-"],
        ["LoRA last/10", "100.0", "-"],
    ]
    assert table.cost_rows(found, METHODS)[1] == ["LoRA everywhere", "8", "2.0 s", "7 MB"]
    assert table.accuracy_rows(table.cells([]), METHODS, TASKS) == []


def test_differences_are_paired_by_test_row_and_averaged_over_tasks_that_both_have() -> None:
    found = table.cells(PARTIAL)
    zero_shot, inside = table.difference_rows(found, METHODS, TASKS, "LoRA everywhere")
    rows = 100 * (np.array([1, 1, 0, 0]) - np.array([2, 3, 3, 2]) / 3)
    half = stats.norm.interval(0.95, scale=stats.sem(rows))[1]
    assert zero_shot == ["zero-shot", f"{rows.mean():+.1f} ± {half:.1f}", "-", f"{rows.mean():+.1f}"]
    assert inside[0] == "LoRA last/10"
    assert inside[-1] == "+16.7"


def test_of_two_results_of_one_seed_the_newest_counts() -> None:
    found = table.cells([result("irony", "zero-shot", 0, "1111"), result("irony", "zero-shot", 0, "0000")])
    assert found["zero-shot", "irony"].accuracies == [0.0]
