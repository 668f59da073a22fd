"""An interruption, however rude, changes nothing: a resumed run is the one that was begun."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from types import SimpleNamespace

import pytest
from run_lab import DEFAULTS, Killed, Tune, journal_bytes, lines

from seedtune.runtime.errors import SeedTuneError
from seedtune.runtime.journal.file import read_journal
from seedtune.runtime.journal.records import Record
from seedtune.runtime.run.folder import RunFolder


@pytest.mark.parametrize("done", [1, 3, 7])
def test_an_interrupted_and_resumed_run_is_the_uninterrupted_one(
    whole: SimpleNamespace, tune_tiny: Tune, stop_when: Callable, tmp_path: Path, done: int
) -> None:
    out = tmp_path / "cut"
    first = tune_tiny(out, stop=stop_when(done))
    assert (first.interrupted, first.steps) == (True, done)
    assert journal_bytes(whole.path).startswith(journal_bytes(out))
    second = tune_tiny(out, resume=True)
    assert journal_bytes(out) == journal_bytes(whole.path)
    assert (second.state_sha256, second.steps) == (whole.result.state_sha256, 8)
    assert not second.interrupted
    assert [record["step"] for record in lines(out / "steps.jsonl")] == list(range(1, 9))
    same = ("step", "loss", "accuracy", "best")
    scheduled = [record for record in lines(out / "evaluations.jsonl") if record["step"] in (0, 3, 6, 8)]
    expected = lines(whole.path / "evaluations.jsonl")
    assert [[record[name] for name in same] for record in scheduled] == [
        [record[name] for name in same] for record in expected
    ]


def test_an_interruption_does_not_change_when_the_held_out_rows_are_evaluated(
    whole: SimpleNamespace, tune_tiny: Tune, stop_when: Callable, tmp_path: Path
) -> None:
    """An evaluation more could make another step the best one: the tuned model would depend on the interruption."""
    tune_tiny(tmp_path / "cut", stop=stop_when(4))
    result = tune_tiny(tmp_path / "cut", resume=True)
    assert result.best_step == whole.result.best_step
    assert [record["step"] for record in lines(tmp_path / "cut" / "evaluations.jsonl")] == [0, 3, 6, 8]


def test_resuming_a_finished_run_changes_nothing(whole: SimpleNamespace, tune_tiny: Tune) -> None:
    before = {name: (whole.path / name).read_bytes() for name in ("journal.bin", "steps.jsonl", "evaluations.jsonl")}
    result = tune_tiny(whole.path, resume=True)
    assert result.state_sha256 == whole.result.state_sha256
    assert (result.steps, result.interrupted) == (8, False)
    assert {name: (whole.path / name).read_bytes() for name in before} == before


def test_a_kill_between_journal_and_state_loses_nothing(
    whole: SimpleNamespace, tune_tiny: Tune, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "killed"
    with monkeypatch.context() as patch:
        from seedtune.runtime.journal.file import JournalWriter

        begin = JournalWriter.begin

        def begin_and_die(self: JournalWriter, record: Sequence[Record]) -> Callable[[], None]:
            settle = begin(self, record)

            def settled() -> None:
                settle()
                if self.count == 5:
                    raise Killed

            return settled

        patch.setattr(JournalWriter, "begin", begin_and_die)
        with pytest.raises(Killed):
            tune_tiny(out)
    assert read_journal(out / "journal.bin").steps == 5
    assert len(lines(out / "steps.jsonl")) == 4
    result = tune_tiny(out, resume=True)
    assert journal_bytes(out) == journal_bytes(whole.path)
    assert result.state_sha256 == whole.result.state_sha256


def test_a_torn_record_is_made_again(whole: SimpleNamespace, tune_tiny: Tune, tmp_path: Path) -> None:
    out = Path(shutil.copytree(whole.path, tmp_path / "torn"))
    raw = journal_bytes(out)
    (out / "journal.bin").write_bytes(raw[:-9])
    result = tune_tiny(out, resume=True)
    assert journal_bytes(out) == raw
    assert result.state_sha256 == whole.result.state_sha256


def test_a_run_killed_before_its_journal_was_made_can_be_started_again(
    tune_tiny: Tune, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from seedtune.runtime.journal.file import JournalWriter

    def die(*_arguments: object) -> None:
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(JournalWriter, "create", die)
        with pytest.raises(Killed):
            tune_tiny(tmp_path / "run")
    # As if it was killed while it wrote the journal's header.
    (tmp_path / "run" / ".journal.bin.1234.partial").write_bytes(b"SEED")
    with pytest.raises(SeedTuneError, match="add --train"):
        tune_tiny(tmp_path / "run", resume=True)
    assert tune_tiny(tmp_path / "run", steps=1).steps == 1
    assert not list((tmp_path / "run").glob("*.partial"))


def test_resuming_where_no_run_is_there_yet_starts_one(
    whole: SimpleNamespace, tune_tiny: Tune, tiny_data: SimpleNamespace, tmp_path: Path
) -> None:
    """A supervisor says the same at each start, and need not know when the kill came."""
    given = {**DEFAULTS, "train": tiny_data.train, "held_out": tiny_data.eval, "resume": True}
    for folder in ("new", "empty", "begun"):
        (tmp_path / folder).mkdir() if folder != "new" else None
        if folder == "begun":
            shutil.copy(whole.path / "run.json", tmp_path / folder)
            (tmp_path / folder / ".lock").touch()
        for _ in range(2):
            assert tune_tiny(tmp_path / folder, **given).state_sha256 == whole.result.state_sha256
            assert journal_bytes(tmp_path / folder) == journal_bytes(whole.path)


def test_a_refused_run_leaves_nothing_behind(tune_tiny: Tune, tmp_path: Path) -> None:
    rows = tmp_path / "rows.jsonl"
    rows.write_text('{"text": "a film", "label": "neither"}\n')
    for resume in (False, True):
        with pytest.raises(SeedTuneError, match="neither"):
            tune_tiny(tmp_path / "new", train=rows, resume=resume)
    assert not (tmp_path / "new").exists()
    (tmp_path / "mine").mkdir()
    with pytest.raises(SeedTuneError, match="neither"):
        tune_tiny(tmp_path / "mine", train=rows)
    assert list((tmp_path / "mine").iterdir()) == []
    # A folder that is somebody else's is not for a run, whatever is asked.
    (tmp_path / "mine" / "letter.txt").write_text("x")
    with pytest.raises(SeedTuneError, match="not empty"):
        tune_tiny(tmp_path / "mine", train=rows, resume=True)
    assert [path.name for path in (tmp_path / "mine").iterdir()] == ["letter.txt"]


def test_of_two_that_resume_the_second_sees_what_the_first_began(tmp_path: Path, whole: SimpleNamespace) -> None:
    """What the folder holds is looked at when nobody else writes, not before."""
    late = RunFolder(tmp_path / "run", resume=False)
    check, asked = late.check, []

    def checked() -> None:
        check()
        asked.append(True)
        if len(asked) == 1:
            shutil.copytree(whole.path, tmp_path / "run")

    late.check = checked  # type: ignore[method-assign]
    with pytest.raises(SeedTuneError, match="already holds a run"):
        late.__enter__()
    with RunFolder(tmp_path / "run", resume=True) as folder:
        assert folder.resumes
        with pytest.raises(SeedTuneError, match="another run is writing"):
            RunFolder(tmp_path / "run", resume=True).__enter__()
        assert (tmp_path / "run" / ".lock").exists()
    assert not (tmp_path / "run" / ".lock").exists()


def test_the_remaining_files_may_be_gone_when_a_run_is_resumed(
    tune_tiny: Tune, stop_when: Callable, tmp_path: Path
) -> None:
    """Telemetry is not the model: a power cut may take a log that was never synced."""
    tune_tiny(tmp_path / "a", steps=4)
    tune_tiny(tmp_path / "b", steps=4, stop=stop_when(2))
    (tmp_path / "b" / "steps.jsonl").unlink()
    tune_tiny(tmp_path / "b", resume=True)
    assert journal_bytes(tmp_path / "b") == journal_bytes(tmp_path / "a")
