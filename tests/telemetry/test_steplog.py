"""Lines survive kills, full disks and bad neighbours."""

from __future__ import annotations

import resource
import signal
from pathlib import Path

import msgspec
import pytest

from seedtune.runtime.errors import SeedTuneError
from seedtune.runtime.telemetry import steplog
from seedtune.runtime.telemetry.records import EvaluationRecord, StepRecord
from seedtune.runtime.telemetry.steplog import JsonLinesWriter, read_json_lines


def evaluation(step: int, loss: float = 0.5) -> EvaluationRecord:
    return EvaluationRecord(step=step, accuracy=0.75, loss=loss, examples=8, seconds=1.5, best=False)


@pytest.fixture
def log(tmp_path: Path) -> Path:
    path = tmp_path / "evaluations.jsonl"
    with JsonLinesWriter(path) as writer:
        for step in range(3):
            writer.write(evaluation(step))
    return path


def test_what_was_written_is_read_back(log: Path) -> None:
    assert read_json_lines(log, EvaluationRecord) == [evaluation(step) for step in range(3)]


def test_a_line_is_in_the_file_before_write_returns(tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"
    with JsonLinesWriter(path) as writer:
        writer.write({"a": 1})
        assert path.read_bytes() == b'{"a":1}\n'


def test_opening_again_appends(log: Path) -> None:
    with JsonLinesWriter(log) as writer:
        writer.write(evaluation(3))
    assert [record.step for record in read_json_lines(log, EvaluationRecord)] == [0, 1, 2, 3]


def test_a_loss_that_is_not_finite_is_read_as_none(tmp_path: Path) -> None:
    with JsonLinesWriter(tmp_path / "log.jsonl") as writer:
        writer.write(evaluation(1, float("nan")))
        writer.write(evaluation(2, float("inf")))
    assert [r.loss for r in read_json_lines(writer.path, EvaluationRecord)] == [None, None]


def test_torn_last_line_is_tolerated_wherever_it_was_cut(log: Path) -> None:
    whole = log.read_bytes()
    last_start = whole.rstrip(b"\n").rfind(b"\n") + 1
    for cut in range(last_start, len(whole) - 1):
        log.write_bytes(whole[:cut])
        assert [r.step for r in read_json_lines(log, EvaluationRecord)] == [0, 1], cut


def test_a_record_after_a_torn_line_is_not_glued_to_it(log: Path) -> None:
    whole = log.read_bytes()
    for cut in (3, 20, len(whole) - 30):
        log.write_bytes(whole[:cut])
        kept = whole[:cut].count(b"\n")
        with JsonLinesWriter(log) as writer:
            writer.write(evaluation(9))
        assert [r.step for r in read_json_lines(log, EvaluationRecord)] == [*range(kept), 9]


def test_a_whole_last_line_without_its_newline_is_kept(log: Path) -> None:
    log.write_bytes(log.read_bytes().rstrip(b"\n"))
    assert len(read_json_lines(log, EvaluationRecord)) == 3
    with JsonLinesWriter(log) as writer:
        writer.write(evaluation(3))
    assert [r.step for r in read_json_lines(log, EvaluationRecord)] == [0, 1, 2, 3]


@pytest.mark.parametrize(
    "bad",
    [b'{"step":1', b"\xff\xfe", b"[" * 20_000, b'{"step":1}', b"null", b'{"step":"one"}'],
    ids=["torn", "bytes", "deep", "fields", "null", "kind"],
)
def test_a_bad_line_that_is_not_the_last_is_named(log: Path, bad: bytes) -> None:
    lines = log.read_bytes().splitlines()
    log.write_bytes(b"\n".join([lines[0], bad, lines[2]]) + b"\n")
    with pytest.raises(SeedTuneError) as caught:
        read_json_lines(log, EvaluationRecord)
    assert caught.value.file == f"{log}:2"
    assert caught.value.remedy


def test_a_bad_last_line_with_its_newline_was_not_torn(log: Path) -> None:
    log.write_bytes(log.read_bytes() + b'{"step":\n')
    with pytest.raises(SeedTuneError, match=":4: not a EvaluationRecord"):
        read_json_lines(log, EvaluationRecord)


def test_a_whole_last_line_of_another_kind_is_not_taken_for_a_torn_one(log: Path) -> None:
    with pytest.raises(SeedTuneError, match=":1: not a StepRecord"):
        read_json_lines(log, StepRecord)
    log.write_bytes(b'{"step":1}')
    with pytest.raises(SeedTuneError, match=":1: not a EvaluationRecord"):
        read_json_lines(log, EvaluationRecord)


def test_an_endless_line_is_refused(log: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(steplog, "MAX_LINE_BYTES", 1000)
    log.write_bytes(b"x" * 200_000)
    with pytest.raises(SeedTuneError, match="too long"):
        read_json_lines(log, EvaluationRecord)
    with pytest.raises(SeedTuneError, match="too long"):
        JsonLinesWriter(log)
    assert log.stat().st_size == 200_000


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full")
def test_a_full_disk_names_the_file_and_the_remedy() -> None:
    with JsonLinesWriter("/dev/full") as writer, pytest.raises(SeedTuneError) as caught:
        writer.write(evaluation(1))
    assert caught.value.file == "/dev/full"
    assert "free some space" in (caught.value.remedy or "")


def test_a_write_that_fails_half_way_leaves_the_file_as_it_was(log: Path) -> None:
    before = log.read_bytes()
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    try:
        with JsonLinesWriter(log) as writer:
            resource.setrlimit(resource.RLIMIT_FSIZE, (len(before) + 10, limits[1]))
            with pytest.raises(SeedTuneError, match="cannot write"):
                writer.write(evaluation(3))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, handler)
    assert log.read_bytes() == before


def test_a_missing_folder_or_file_is_an_error_with_a_remedy(tmp_path: Path) -> None:
    with pytest.raises(SeedTuneError, match="make the folder first"):
        JsonLinesWriter(tmp_path / "absent" / "log.jsonl")
    with pytest.raises(SeedTuneError, match="give the path of a file"):
        JsonLinesWriter(tmp_path)
    with pytest.raises(SeedTuneError, match="cannot read the log"):
        read_json_lines(tmp_path / "absent.jsonl", EvaluationRecord)


def test_writing_to_a_closed_log_is_refused(log: Path) -> None:
    writer = JsonLinesWriter(log)
    writer.close()
    writer.close()
    with pytest.raises(ValueError, match="closed"):
        writer.write(evaluation(1))


def test_records_are_frozen() -> None:
    with pytest.raises(AttributeError):
        evaluation(1).step = 2  # type: ignore[misc]
    assert msgspec.json.decode(msgspec.json.encode(evaluation(1)), type=EvaluationRecord) == evaluation(1)
