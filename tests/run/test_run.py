"""Runs are determined by seed, bundle and data; an interruption, however rude, changes nothing."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from seedtune.runtime.bundle.reader import Bundle
from seedtune.runtime.data.batches import micro_batches
from seedtune.runtime.errors import SeedTuneError
from seedtune.runtime.estimators.two_sided import TwoSided
from seedtune.runtime.evaluation import evaluate
from seedtune.runtime.journal.file import read_journal
from seedtune.runtime.loop import DivergedError
from seedtune.runtime.noise import derive_seed, rademacher
from seedtune.runtime.run.folder import RunFolder
from seedtune.runtime.run.prepare import load_split
from seedtune.runtime.state import State
from seedtune.runtime.tuned import open_tuned

Tune = Callable[..., object]


def lines(path: Path) -> list[dict]:
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()]


@pytest.fixture
def whole(tune_tiny: Tune, tmp_path: Path) -> SimpleNamespace:
    """An uninterrupted run of eight steps."""
    result = tune_tiny(tmp_path / "whole")
    return SimpleNamespace(path=tmp_path / "whole", result=result)


def journal_bytes(run: Path) -> bytes:
    return (run / "journal.bin").read_bytes()


def test_two_runs_are_the_same_bits(whole: SimpleNamespace, tune_tiny: Tune, tmp_path: Path) -> None:
    again = tune_tiny(tmp_path / "again")
    assert journal_bytes(tmp_path / "again") == journal_bytes(whole.path)
    assert again.state_sha256 == whole.result.state_sha256


def test_another_seed_is_another_run(whole: SimpleNamespace, tune_tiny: Tune, tmp_path: Path) -> None:
    assert tune_tiny(tmp_path / "other", seed=6).state_sha256 != whole.result.state_sha256


def test_every_file_of_a_run_is_there_and_agrees(whole: SimpleNamespace) -> None:
    steps, evaluations = lines(whole.path / "steps.jsonl"), lines(whole.path / "evaluations.jsonl")
    assert [step["step"] for step in steps] == list(range(1, 9))
    assert [record["step"] for record in evaluations] == [0, 3, 6, 8]
    journal = read_journal(whole.path / "journal.bin")
    assert len(journal) == 8
    for step, record in zip(steps, journal.records, strict=True):
        assert np.float32(step["coefficient"]) == record["coefficient"]
        assert np.float32(step["loss_plus"]) == record["loss_plus"]
    result = json.loads((whole.path / "result.json").read_text())
    assert result["steps"] == 8
    assert result["interrupted"] is False
    assert (result["loss_start"], result["loss_end"]) == (evaluations[0]["loss"], evaluations[-1]["loss"])
    for name in ("predictions_start.jsonl", "predictions_best.jsonl"):
        assert len(lines(whole.path / name)) == 24


def test_predictions_start_are_those_of_the_untouched_model_and_best_those_of_the_best(
    whole: SimpleNamespace,
) -> None:
    evaluations = lines(whole.path / "evaluations.jsonl")
    best = min(evaluations, key=lambda record: record["loss"])
    for name, record in (("start", evaluations[0]), ("best", best)):
        rows = lines(whole.path / f"predictions_{name}.jsonl")
        assert np.mean([row["prediction"] == row["label"] for row in rows]) == pytest.approx(record["accuracy"])
        assert np.mean([row["loss"] for row in rows]) == pytest.approx(record["loss"], rel=1e-6)


def test_the_journal_alone_reproduces_the_state(whole: SimpleNamespace, tiny_bundle: Path) -> None:
    """By hand, in numpy: float32 additions of float32 products, in order."""
    journal = read_journal(whole.path / "journal.bin")
    bundle = Bundle.open(tiny_bundle)
    state = State(bundle.session("update", 1), bundle.manifest.state.parameters)
    state.apply(journal.seeds(), journal.records["coefficient"])
    assert state.sha256() == whole.result.state_sha256
    by_hand = np.zeros(journal.header.state_parameters, np.float32)
    for step, record in enumerate(journal.records):
        by_hand = by_hand + record["coefficient"] * rademacher(derive_seed(5, "probe", step), len(by_hand))
    assert by_hand.dtype == np.float32
    assert np.array_equal(by_hand, state.values)


def test_the_best_step_has_the_lowest_held_out_loss_and_open_tuned_replays_it(
    tune_tiny: Tune, tmp_path: Path, tiny_bundle: Path, tiny_data: SimpleNamespace
) -> None:
    # A rate so high that the loss goes up and down.
    result = tune_tiny(tmp_path / "run", steps=12, eval_every=1, learning_rate=0.4, schedule="constant")
    evaluations = lines(tmp_path / "run" / "evaluations.jsonl")
    best = min(evaluations, key=lambda record: (record["loss"], record["step"]))
    assert result.best_step == best["step"]
    assert 0 < best["step"] < 12, "the case is no test: choose another rate"
    tuned = open_tuned(tmp_path / "run")
    assert tuned.step == best["step"]
    journal = read_journal(tmp_path / "run" / "journal.bin")
    bundle = Bundle.open(tiny_bundle)
    by_hand = State(bundle.session("update", 1), bundle.manifest.state.parameters)
    for seed, record in list(zip(journal.seeds(), journal.records, strict=True))[: best["step"]]:
        by_hand.apply([seed], [record["coefficient"]])
    assert np.array_equal(tuned.state.values, by_hand.values)
    split = load_split(tiny_data.eval, bundle.compiled_task())
    padding = bundle.manifest.model.padding_id
    found = evaluate(bundle.session("eval", 1), tuned.state.values, split.examples, rows=1024, padding_id=padding)
    assert found.loss == pytest.approx(best["loss"], rel=1e-6)
    assert open_tuned(tmp_path / "run", step=12).state.sha256() == result.state_sha256
    assert not open_tuned(tmp_path / "run", step=0).state.values.any()


@pytest.mark.parametrize("step", [-1, 9, 10**9])
def test_a_step_that_the_run_does_not_have_is_refused(whole: SimpleNamespace, step: int) -> None:
    with pytest.raises(SeedTuneError, match="no such step"):
        open_tuned(whole.path, step=step)


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


class Killed(BaseException):
    """What a kill is to the code around it: nothing that it could catch."""


def test_a_kill_between_journal_and_state_loses_nothing(
    whole: SimpleNamespace, tune_tiny: Tune, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "killed"
    with monkeypatch.context() as patch:
        from seedtune.runtime.journal.file import JournalWriter

        append = JournalWriter.append

        def append_and_die(self: JournalWriter, record: object) -> None:
            append(self, record)
            if self.count == 5:
                raise Killed

        patch.setattr(JournalWriter, "append", append_and_die)
        with pytest.raises(Killed):
            tune_tiny(out)
    assert len(read_journal(out / "journal.bin")) == 5
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
    with pytest.raises(SeedTuneError, match="leave out --resume"):
        tune_tiny(tmp_path / "run", resume=True)
    assert tune_tiny(tmp_path / "run", steps=1).steps == 1


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


def test_a_moved_bundle_can_be_pointed_to(whole: SimpleNamespace, tiny_bundle: Path, tmp_path: Path) -> None:
    moved = Path(shutil.copytree(tiny_bundle, tmp_path / "moved"))
    description = (whole.path / "run.json").read_text()
    (whole.path / "run.json").write_text(description.replace(str(tiny_bundle.resolve()), "/nowhere/bundle"))
    with pytest.raises(SeedTuneError, match="--bundle"):
        open_tuned(whole.path)
    assert open_tuned(whole.path, bundle=moved, step=8).state.sha256() == whole.result.state_sha256


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


def test_micro_batches_change_the_projected_gradient_by_rounding_only(
    tiny_bundle: Path, tiny_data: SimpleNamespace
) -> None:
    bundle = Bundle.open(tiny_bundle)
    rows = load_split(tiny_data.train, bundle.compiled_task()).examples[:24]
    padding = bundle.manifest.model.padding_id
    state = 0.05 * rademacher(1, bundle.manifest.state.parameters)
    estimator = TwoSided(bundle.session("probe", 1), 1e-2)
    compared = 0
    for seed in range(12):
        whole = estimator.measure(state, seed, list(micro_batches(rows, 10**6, padding)))
        batches = list(micro_batches(rows, 20, padding))
        assert len(batches) > 6
        parts = estimator.measure(state, seed, batches)
        assert parts.loss == pytest.approx(whole.loss, rel=1e-5)
        # A float32 loss has 24 bits: the difference of two cannot be surer than an ulp over its own size.
        ulp = 2.0**-23 * whole.loss / 0.02
        allowed = 1e-4 * abs(whole.projected_gradient) + 2 * ulp
        assert abs(parts.projected_gradient - whole.projected_gradient) <= allowed
        compared += abs(whole.projected_gradient) > 100 * ulp
    assert compared >= 8


def test_small_calls_lead_to_the_same_run_within_rounding(
    whole: SimpleNamespace, tune_tiny: Tune, tmp_path: Path
) -> None:
    tune_tiny(tmp_path / "small", rows_per_call=40, held_out=None)
    large = read_journal(whole.path / "journal.bin").records
    small = read_journal(tmp_path / "small" / "journal.bin").records
    assert small["loss_plus"] == pytest.approx(large["loss_plus"], rel=1e-3)
    assert small["coefficient"] == pytest.approx(large["coefficient"], rel=1e-2)


def test_tuning_lowers_the_loss_of_rows_it_has_not_seen(tune_tiny: Tune, tmp_path: Path) -> None:
    for seed in (0, 1):
        result = tune_tiny(tmp_path / str(seed), steps=60, batch_size=16, eval_every=60, seed=seed)
        # Measured 0.79 -> 0.2 to 0.45 nats; chance is ln 2 = 0.69, which a model that learnt nothing cannot pass.
        assert result.loss_start > 0.6
        assert result.loss_end < 0.55
        assert result.accuracy_end >= 0.8


def test_a_huge_learning_rate_diverges_and_keeps_the_last_good_state(
    tune_tiny: Tune, tmp_path: Path, tiny_data: SimpleNamespace
) -> None:
    out = tmp_path / "run"
    with pytest.raises(DivergedError, match="learning rate 1e\\+30") as caught:
        tune_tiny(out, learning_rate=1e30, schedule="constant", held_out=None)
    assert "--learning-rate" in str(caught.value)
    journal = read_journal(out / "journal.bin")
    assert 0 < len(journal) < 8
    result = json.loads((out / "result.json").read_text())
    assert result["steps"] == len(journal)
    assert open_tuned(out).state.sha256() == result["state_sha256"]


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), -float("inf")])
def test_a_loss_that_is_not_finite_stops_the_run_before_anything_is_recorded(
    whole: SimpleNamespace, tune_tiny: Tune, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, bad: float
) -> None:
    from seedtune.runtime.estimators import two_sided

    measure, calls = two_sided.TwoSided.measure, [0]

    def spoilt(self: TwoSided, *arguments: object) -> object:
        calls[0] += 1
        good = measure(self, *arguments)
        return two_sided.estimate_from(good.loss_plus, bad, 1e-2) if calls[0] == 5 else good

    with monkeypatch.context() as patch:
        patch.setattr(two_sided.TwoSided, "measure", spoilt)
        with pytest.raises(DivergedError, match="step 5"):
            tune_tiny(tmp_path / "run")
    raw = journal_bytes(tmp_path / "run")
    assert raw == journal_bytes(whole.path)[: len(raw)]
    assert len(read_journal(tmp_path / "run" / "journal.bin")) == 4
    assert json.loads((tmp_path / "run" / "result.json").read_text())["steps"] == 4
    assert open_tuned(tmp_path / "run").step in (0, 3)


@pytest.mark.parametrize("file", ["steps.jsonl", "evaluations.jsonl"])
def test_a_full_disk_for_a_log_is_a_clear_error(tune_tiny: Tune, tmp_path: Path, file: str) -> None:
    def redirect(run: object) -> None:
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


def test_what_is_neither_bundle_nor_run_is_refused(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "gone"):
        with pytest.raises(SeedTuneError, match="neither a bundle nor a run"):
            open_tuned(path)


def test_the_remaining_files_may_be_gone_when_a_run_is_resumed(
    tune_tiny: Tune, stop_when: Callable, tmp_path: Path
) -> None:
    """Telemetry is not the model: a power cut may take a log that was never synced."""
    tune_tiny(tmp_path / "a", steps=4)
    tune_tiny(tmp_path / "b", steps=4, stop=stop_when(2))
    (tmp_path / "b" / "steps.jsonl").unlink()
    tune_tiny(tmp_path / "b", resume=True)
    assert journal_bytes(tmp_path / "b") == journal_bytes(tmp_path / "a")
