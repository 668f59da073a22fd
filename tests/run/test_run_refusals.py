"""What cannot be a run, or not the run that was begun, is refused by name and left as it was."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest
from run_lab import Tune, journal_bytes

from seedtune.runtime.errors import SeedTuneError
from seedtune.runtime.model.tuned import open_tuned
from seedtune.runtime.run.folder import RunFolder
from seedtune.runtime.telemetry.events import Event, Prepared


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"learning_rate": 0.2}, "learning_rate"),
        ({"steps": 9}, "steps"),
        ({"seed": 6}, "seed"),
        ({"batch_size": 4}, "batch_size"),
        ({"epsilon": 0.02}, "epsilon"),
        ({"schedule": "cosine"}, "schedule"),
        ({"rows_per_call": 64}, "rows_per_call"),
    ],
)
def test_resuming_with_another_setting_is_refused(
    tune_tiny: Tune, stop_when: Callable, tmp_path: Path, change: dict, named: str
) -> None:
    tune_tiny(tmp_path / "run", stop=stop_when(2), held_out=None)
    before = journal_bytes(tmp_path / "run")
    with pytest.raises(SeedTuneError, match=named) as caught:
        tune_tiny(tmp_path / "run", resume=True, **change)
    assert repr(change[named]) in str(caught.value)
    assert journal_bytes(tmp_path / "run") == before


def test_resuming_with_other_data_or_another_bundle_is_refused(
    tune_tiny: Tune, stop_when: Callable, tmp_path: Path, tiny_data: SimpleNamespace, tiny_bundle: Path
) -> None:
    out = tmp_path / "run"
    tune_tiny(out, stop=stop_when(2))
    with pytest.raises(SeedTuneError, match="training data"):
        tune_tiny(out, resume=True, train=tiny_data.eval)
    with pytest.raises(SeedTuneError, match="evaluation data"):
        tune_tiny(out, resume=True, held_out=tiny_data.train)
    other = Path(shutil.copytree(tiny_bundle, tmp_path / "other"))
    text = (other / "manifest.json").read_text()
    (other / "manifest.json").write_text(text.replace('"seedtune_version": "', '"seedtune_version": "9.'))
    with pytest.raises(SeedTuneError, match="another bundle"):
        tune_tiny(out, resume=True, bundle=other)
    with pytest.raises(SeedTuneError, match="another bundle"):
        open_tuned(out, bundle=other)


def test_a_journal_of_another_run_is_refused(whole: SimpleNamespace, tune_tiny: Tune, tmp_path: Path) -> None:
    tune_tiny(tmp_path / "other", seed=6, held_out=None)
    shutil.copy(tmp_path / "other" / "journal.bin", whole.path / "journal.bin")
    with pytest.raises(SeedTuneError, match=r"journal\.bin: the journal belongs to another run"):
        tune_tiny(whole.path, resume=True)
    with pytest.raises(SeedTuneError, match="another run"):
        open_tuned(whole.path)


def test_a_folder_is_one_runs_at_a_time(tune_tiny: Tune, tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    with (
        RunFolder(tmp_path / "run", resume=False),
        pytest.raises(SeedTuneError, match="another run is writing"),
    ):
        tune_tiny(tmp_path / "run")
    assert tune_tiny(tmp_path / "run", steps=1).steps == 1


@pytest.mark.parametrize(("resume", "message"), [(False, "already holds a run"), (True, "no run to resume")])
def test_the_folder_must_be_what_resume_says(
    whole: SimpleNamespace, tune_tiny: Tune, tmp_path: Path, resume: bool, message: str
) -> None:
    with pytest.raises(SeedTuneError, match=message):
        tune_tiny(tmp_path / "none" if resume else whole.path, resume=resume)


def test_a_foreign_folder_or_file_is_left_alone(tune_tiny: Tune, tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("precious")
    (tmp_path / "file").write_text("precious")
    with pytest.raises(SeedTuneError, match="not empty"):
        tune_tiny(tmp_path / "mine")
    with pytest.raises(SeedTuneError, match="not a folder"):
        tune_tiny(tmp_path / "file")
    assert [entry.name for entry in (tmp_path / "mine").iterdir()] == ["thesis.txt"]


@pytest.mark.parametrize("file", ["steps.jsonl", "evaluations.jsonl"])
def test_a_full_disk_for_a_log_is_a_clear_error(tune_tiny: Tune, tmp_path: Path, file: str) -> None:
    def redirect(event: Event) -> None:
        if isinstance(event, Prepared):
            (tmp_path / "run" / file).symlink_to("/dev/full")

    with pytest.raises(SeedTuneError, match=rf"{file}.*No space left"):
        tune_tiny(tmp_path / "run", prepare=redirect)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("steps", 0),
        ("batch_size", -1),
        ("eval_every", 0),
        ("rows_per_call", 0),
        ("learning_rate", 0.0),
        ("learning_rate", float("nan")),
        ("learning_rate", float("inf")),
        ("epsilon", -1e-3),
        ("seed", -1),
        ("seed", 2**32),
        ("schedule", "exponential"),
    ],
)
def test_a_setting_out_of_range_is_named_as_its_option(
    tune_tiny: Tune, tmp_path: Path, name: str, value: object
) -> None:
    with pytest.raises(SeedTuneError) as caught:
        tune_tiny(tmp_path / "run", **{name: value})
    assert "--" + name.replace("_", "-") in str(caught.value)
    assert caught.value.rule


def test_a_damaged_description_is_named(whole: SimpleNamespace, tune_tiny: Tune) -> None:
    for raw in (b"", b"{", b"[]", b'{"format_version": 1}', b"\xff"):
        (whole.path / "run.json").write_bytes(raw)
        for attempt in (lambda: tune_tiny(whole.path, resume=True), lambda: open_tuned(whole.path)):
            with pytest.raises(SeedTuneError, match=r"run\.json"):
                attempt()


@pytest.mark.parametrize(
    "settings", [{"steps": "8"}, {"steps": 8, "new_setting": 1}, {"seed": -1}], ids=["type", "unknown", "range"]
)
def test_settings_of_a_description_that_no_run_has_are_refused(
    whole: SimpleNamespace, tune_tiny: Tune, settings: dict
) -> None:
    description = json.loads((whole.path / "run.json").read_text())
    (whole.path / "run.json").write_text(json.dumps(description | {"settings": settings}))
    with pytest.raises(SeedTuneError):
        tune_tiny(whole.path, resume=True)
