"""Tuning through the front door: events in order, every way to leave the loop, and the state that is there after it."""

from __future__ import annotations

import typing
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import msgspec
import pytest

import seedtune
from seedtune import events


def journal(run: Path) -> bytes:
    return (run / "journal.bin").read_bytes()


def result_of(run: Path) -> dict:
    return msgspec.json.decode((run / "result.json").read_bytes())


def test_events_come_in_order_and_are_of_the_closed_union(whole: SimpleNamespace) -> None:
    kinds = [type(event) for event in whole.events]
    assert set(kinds) <= set(typing.get_args(events.Event))
    assert kinds[0] is events.Prepared
    assert kinds[-1] is events.Finished
    assert kinds.count(events.Finished) == kinds.count(events.Prepared) == 1
    steps = [event.record.step for event in whole.events if isinstance(event, events.Step)]
    assert steps == list(range(1, 9))
    # The untouched model first, then after every third step and the last.
    order = [
        event.record.step * (1 if isinstance(event, events.Step) else -1)
        for event in whole.events
        if isinstance(event, events.Step | events.Evaluated)
    ]
    assert order == [0, 1, 2, 3, -3, 4, 5, 6, -6, 7, 8, -8]


def test_what_is_told_is_what_the_files_say(whole: SimpleNamespace, settings: dict) -> None:
    prepared, *_, finished = whole.events
    assert prepared.steps == 8
    assert prepared.settings.items() >= {name: settings[name] for name in ("steps", "batch_size", "seed")}.items()
    assert prepared.settings["optimizer.learning_rate"] == 0.1
    assert finished.result == whole.result
    assert result_of(whole.path) == msgspec.to_builtins(whole.result)
    logged = [msgspec.json.decode(line)["loss"] for line in (whole.path / "steps.jsonl").read_text().splitlines()]
    assert [event.record.loss for event in whole.events if isinstance(event, events.Step)] == logged


def test_nothing_happens_before_the_first_event_is_asked_for(
    tiny_bundle: Path, tiny_data: SimpleNamespace, tmp_path: Path
) -> None:
    with seedtune.open(tiny_bundle) as model:
        tuning = model.tune(tiny_data.train, out=tmp_path / "run")
        assert not (tmp_path / "run").exists()
        with pytest.raises(RuntimeError, match="not ended"):
            _ = tuning.result


def by_stop(tuning: typing.Any) -> None:
    for event in tuning:
        if isinstance(event, events.Step) and event.record.step == 4:
            tuning.stop()
    assert tuning.result.interrupted


def by_break(tuning: typing.Any) -> None:
    for event in tuning:
        if isinstance(event, events.Step) and event.record.step == 4:
            break
    tuning.close()


def by_error(tuning: typing.Any) -> None:
    def use() -> None:
        for event in tuning:
            if isinstance(event, events.Step) and event.record.step == 4:
                raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        use()
    tuning.close()


LEAVING = [by_stop, by_break, by_error]


@pytest.mark.parametrize("leave", LEAVING)
def test_a_run_that_is_left_can_be_gone_on_with_to_the_bits_of_the_uninterrupted_one(
    whole: SimpleNamespace,
    tiny_bundle: Path,
    tiny_data: SimpleNamespace,
    settings: dict,
    tmp_path: Path,
    leave: Callable,
) -> None:
    run = tmp_path / "run"
    with seedtune.open(tiny_bundle, threads=1) as model:
        leave(model.tune(tiny_data.train, tiny_data.eval, out=run, **settings))
        result = result_of(run)
        assert (result["steps"], result["interrupted"]) == (4, True)
        with seedtune.open(run, step=4) as left:
            assert left.state.sha256() == result["state_sha256"]
        assert journal(whole.path).startswith(journal(run))
        if leave is not by_stop:
            assert (model.step, bool(model.state.values.any())) == (0, False)
    with seedtune.open(tiny_bundle, threads=1) as model:
        tuning = model.tune(out=run, resume=True)
        steps = [event.record.step for event in tuning if isinstance(event, events.Step)]
        assert steps == [5, 6, 7, 8]
        assert model.step == whole.result.best_step
    assert journal(run) == journal(whole.path)
    assert tuning.result.state_sha256 == whole.result.state_sha256
    assert not result_of(run)["interrupted"]


@pytest.mark.parametrize("error", [None, KeyError])
def test_a_loop_without_a_name_ends_its_run_when_it_is_left(
    tiny_bundle: Path, tiny_data: SimpleNamespace, settings: dict, tmp_path: Path, error: type[Exception] | None
) -> None:
    """As in the README: nothing is there to be closed, and the folder is free for another run at once."""

    def use() -> None:
        with seedtune.open(tiny_bundle, threads=1) as model:
            for event in model.tune(tiny_data.train, out=tmp_path / "run", **settings):
                if isinstance(event, events.Step) and event.record.step == 2:
                    if error:
                        raise error
                    break

    if error:
        with pytest.raises(error):
            use()
    else:
        use()
    assert result_of(tmp_path / "run")["steps"] == 2
    with seedtune.open(tiny_bundle, threads=1) as model:
        *_, last = model.tune(out=tmp_path / "run", resume=True)
    assert isinstance(last, events.Finished)
    assert last.result.steps == 8


def test_a_run_that_is_stopped_at_its_last_step_is_no_interrupted_one(
    tiny_bundle: Path, tiny_data: SimpleNamespace, settings: dict, tmp_path: Path
) -> None:
    with seedtune.open(tiny_bundle, threads=1) as model:
        tuning = model.tune(tiny_data.train, out=tmp_path / "run", **settings | {"steps": 2})
        for event in tuning:
            if isinstance(event, events.Step) and event.record.step == 2:
                tuning.stop()
    assert not tuning.result.interrupted
    assert list(tuning) == []


def test_after_tuning_the_model_has_the_best_state_and_without_held_out_rows_the_last(
    whole: SimpleNamespace, tiny_bundle: Path, tiny_data: SimpleNamespace, settings: dict, tmp_path: Path
) -> None:
    # A rate so high that the loss goes up and down.
    wild = settings | {"learning_rate": 0.2, "schedule": "constant", "eval_every": 1, "steps": 12}
    with seedtune.open(tiny_bundle, threads=1) as model:
        before = model.evaluate(tiny_data.eval).loss
        tuning = model.tune(tiny_data.train, tiny_data.eval, out=tmp_path / "run", **wild)
        told = [event.record for event in tuning if isinstance(event, events.Evaluated)]
        best = min(told, key=lambda record: (record.loss, record.step))
        assert 0 < best.step < 12, "the case is no test: choose another rate"
        assert (model.step, model.is_run) == (best.step, True)
        assert model.evaluate(tiny_data.eval).loss == pytest.approx(best.loss, rel=1e-6)
        assert model.evaluate(tiny_data.eval).loss < before
        with seedtune.open(tmp_path / "run") as again:
            assert again.state.sha256() == model.state.sha256()
    with seedtune.open(tiny_bundle, threads=1) as model:
        *_, last = model.tune(tiny_data.train, out=tmp_path / "blind", **settings)
        assert isinstance(last, events.Finished)
        assert model.step == 8
        assert model.state.sha256() == last.result.state_sha256 == whole.result.state_sha256


def test_a_model_that_was_tuned_is_not_tuned_again(
    whole: SimpleNamespace, tiny_bundle: Path, tiny_data: SimpleNamespace, settings: dict, tmp_path: Path
) -> None:
    with seedtune.open(whole.path, step=3) as model, pytest.raises(seedtune.SeedTuneError, match="tuned before"):
        model.tune(tiny_data.train, out=tmp_path / "a", **settings)
    with seedtune.open(tiny_bundle, threads=1) as model:
        list(model.tune(tiny_data.train, out=tmp_path / "b", **settings | {"steps": 1}))
        with pytest.raises(seedtune.SeedTuneError, match="tuned before") as caught:
            model.tune(tiny_data.train, out=tmp_path / "c", **settings)
        assert "open the bundle" in str(caught.value.remedy)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["b"]


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"steps": 0}, "--steps"),
        ({"steps": "many"}, "--steps"),
        ({"steps": 1.5}, "--steps"),
        ({"batch_size": True}, "--batch-size"),
        ({"learning_rate": -1}, "--learning-rate"),
        ({"learning_rate": float("nan")}, "--learning-rate"),
        ({"optimizer": "adam"}, "adam"),
        ({"schedule": "exponential"}, "--schedule"),
        ({"momentum": 0.5}, "--momentum belongs to another optimizer"),
        ({"learning_rat": 0.1}, "did you mean learning_rate"),
        ({"train_rows": 5}, "no such setting"),
        ({"cache_limit": "lots"}, "--cache-limit"),
    ],
)
def test_a_setting_that_no_run_has_is_refused_by_name_and_leaves_no_run(
    tiny_bundle: Path, tiny_data: SimpleNamespace, tmp_path: Path, change: dict, named: str
) -> None:
    with seedtune.open(tiny_bundle) as model, pytest.raises(seedtune.SeedTuneError, match=named):
        list(model.tune(tiny_data.train, out=tmp_path / "run", **change))
    assert not (tmp_path / "run" / "journal.bin").exists()


def test_a_run_needs_rows_and_a_folder_of_its_own(
    whole: SimpleNamespace, tiny_bundle: Path, tiny_data: SimpleNamespace, tmp_path: Path
) -> None:
    cases = [
        ({"out": tmp_path / "a"}, "training rows"),
        ({"train": tmp_path / "gone.jsonl", "out": tmp_path / "b"}, "no such data file"),
        ({"train": tiny_data.train, "out": whole.path}, "already holds a run"),
        ({"out": tmp_path / "c", "resume": True}, "no run to resume"),
    ]
    for arguments, named in cases:
        with seedtune.open(tiny_bundle) as model:
            with pytest.raises(seedtune.SeedTuneError, match=named):
                list(model.tune(**arguments))
            assert len(model.predict([{"text": "a film"}])) == 1


def test_two_models_do_not_disturb_each_other(
    whole: SimpleNamespace, tiny_bundle: Path, tiny_data: SimpleNamespace, settings: dict, tmp_path: Path
) -> None:
    """Two runs of two models, step by step in turns."""
    with seedtune.open(tiny_bundle, threads=1) as one, seedtune.open(tiny_bundle, threads=1) as other:
        runs = [
            model.tune(tiny_data.train, tiny_data.eval, out=tmp_path / name, **settings | changed)
            for model, name, changed in ((one, "one", {}), (other, "other", {"seed": 6}))
        ]
        for _ in range(10):
            for run in runs:
                next(run)
        for run in runs:
            list(run)
    assert journal(tmp_path / "one") == journal(whole.path)
    assert journal(tmp_path / "other") != journal(whole.path)
