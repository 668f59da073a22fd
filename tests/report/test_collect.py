"""A RUN folder is read whole, in part, or refused with a reason."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from seedtune.runtime.errors import SeedTuneError
from seedtune.runtime.report.collect import collect
from seedtune.runtime.report.summary import summarise

WriteRun = Callable[..., Path]


def edit_json(path: Path, **changes: object) -> None:
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def edit_line(path: Path, number: int, **changes: object) -> None:
    lines = path.read_text().splitlines()
    lines[number] = json.dumps(json.loads(lines[number]) | changes)
    path.write_text("\n".join(lines) + "\n")


def test_a_finished_run_is_read_whole(write_run: WriteRun) -> None:
    run = collect(write_run(steps=12, held_out=30))
    assert [record.step for record in run.steps] == list(range(1, 13))
    assert len(run.predictions_start) == len(run.predictions_best) == 30
    assert run.result is not None
    assert run.description.task.labels[1].word == " positive"


def test_an_unfinished_run_reports_what_is_there(write_run: WriteRun) -> None:
    folder = write_run(steps=12, held_out=30, finished=False)
    (folder / "predictions_best.jsonl").unlink()
    log = folder / "steps.jsonl"
    log.write_bytes(log.read_bytes()[:-40])  # killed in the twelfth step
    run = collect(folder)
    summary = summarise(run)
    assert run.result is None
    assert (summary.steps_done, summary.seconds) == (11, pytest.approx(0.9 * 11))
    assert summary.before is not None
    assert summary.comparison is None


def test_a_run_without_held_out_rows_has_no_accuracy(write_run: WriteRun) -> None:
    summary = summarise(collect(write_run(held_out=0)))
    assert summary.before is None
    assert summary.after is None
    assert summary.comparison is None
    assert summary.confusion_before is None


def test_of_a_step_done_twice_the_later_counts(write_run: WriteRun) -> None:
    folder = write_run(steps=6)
    log = folder / "steps.jsonl"
    fifth = json.loads(log.read_text().splitlines()[4])
    with log.open("a") as file:
        file.write(json.dumps(fifth | {"loss": 9.0}) + "\n")
    run = collect(folder)
    assert [record.step for record in run.steps] == [1, 2, 3, 4, 5, 6]
    assert run.steps[4].loss == 9.0


def test_summary_counts_agree_with_the_predictions(write_run: WriteRun) -> None:
    run = collect(write_run(held_out=200))
    summary = summarise(run)
    pairs = list(zip(run.predictions_start, run.predictions_best, strict=True))
    fixed = [a.index for b, a in pairs if b.prediction != b.label and a.prediction == a.label]
    broken = [a.index for b, a in pairs if b.prediction == b.label and a.prediction != a.label]
    assert summary.comparison is not None
    assert (summary.comparison.fixed, summary.comparison.broken) == (len(fixed), len(broken))
    assert len(summary.fixed) == min(20, len(fixed))
    assert {example.index for example in summary.broken} <= set(broken)
    assert summary.confusion_after is not None
    assert sum(map(sum, summary.confusion_after.counts)) == 200
    assert summary.after is not None
    right = sum(row[i] for i, row in enumerate(summary.confusion_after.counts))
    assert right == round(summary.after.value * 200)


def test_labels_and_predictions_out_of_range_do_not_break_the_summary(write_run: WriteRun) -> None:
    folder = write_run(held_out=10)
    for name in ("predictions_start.jsonl", "predictions_best.jsonl"):
        edit_line(folder / name, 0, label=-1, prediction=7 if "best" in name else 8, probabilities=[])
    summary = summarise(collect(folder))
    assert summary.confusion_before is None
    assert summary.other_changes == 1


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(SeedTuneError, match="no such folder") as caught:
        collect(tmp_path / "absent")
    assert caught.value.file == str(tmp_path / "absent")


def test_a_folder_that_is_no_run_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SeedTuneError, match="holds no run"):
        collect(tmp_path)
    (tmp_path / "file").touch()
    with pytest.raises(SeedTuneError, match="not a run folder"):
        collect(tmp_path / "file")


def test_a_newer_format_is_refused_before_anything_else_is_read(tmp_path: Path) -> None:
    (tmp_path / "run.json").write_text('{"format_version": 2, "all": "else is new"}')
    with pytest.raises(SeedTuneError, match="newer SeedTune") as caught:
        collect(tmp_path)
    assert caught.value.value == 2
    assert "upgrade" in (caught.value.remedy or "")


@pytest.mark.parametrize(
    "content",
    [b"", b"{", b"\xff\xff", b"[" * 20_000, b"[]", b'{"format_version": "1"}', b'{"format_version": 0}'],
)
def test_a_damaged_run_json_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "run.json").write_bytes(content)
    with pytest.raises(SeedTuneError) as caught:
        collect(tmp_path)
    assert caught.value.file == str(tmp_path / "run.json")
    assert caught.value.remedy


@pytest.mark.parametrize("name", ["run.json", "result.json"])
def test_a_field_of_the_wrong_kind_is_named(write_run: WriteRun, name: str) -> None:
    folder = write_run()
    edit_json(folder / name, **{"bundle": 3} if name == "run.json" else {"steps": "many"})
    with pytest.raises(SeedTuneError, match=r"damaged: Expected .* at `\$\.(bundle|steps)`") as caught:
        collect(folder)
    assert caught.value.file == str(folder / name)


def test_a_bad_line_in_the_middle_is_named_with_its_number(write_run: WriteRun) -> None:
    folder = write_run()
    log = folder / "steps.jsonl"
    lines = log.read_text().splitlines()
    lines[4] = lines[4][:30]
    log.write_text("\n".join(lines) + "\n")
    with pytest.raises(SeedTuneError) as caught:
        collect(folder)
    assert caught.value.file == f"{log}:5"


def test_predictions_of_two_different_data_files_are_refused(write_run: WriteRun) -> None:
    folder = write_run()
    path = folder / "predictions_best.jsonl"
    edit_line(path, 3, label=1 - json.loads(path.read_text().splitlines()[3])["label"])
    with pytest.raises(SeedTuneError, match="row 3 has label"):
        collect(folder)


@pytest.mark.parametrize("changes", [{"accuracy": 75.0}, {"accuracy": -0.1}, {"examples": -1}])
def test_an_impossible_evaluation_is_refused(write_run: WriteRun, changes: dict[str, float]) -> None:
    folder = write_run()
    edit_line(folder / "evaluations.jsonl", 1, **changes)
    with pytest.raises(SeedTuneError, match="is impossible"):
        collect(folder)
