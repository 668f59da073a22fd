"""Contexts made at the desk, runs where what computes them is not: the same journal, or a refusal before a step."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from run_lab import Tune, journal_bytes

import seedtune
from seedtune.runtime.errors import SeedTuneError
from seedtune.runtime.model.feeders import CacheOptions, contexts_path
from seedtune.runtime.telemetry.events import CachingContexts, Event, Notice


@pytest.fixture(scope="session", params=["causal", "masked"])
def desk(request: pytest.FixtureRequest, bundle_of: Callable[..., Path]) -> Path:
    """A bundle with all its files."""
    return bundle_of(request.param, "last", "fp16", "fp32", 1, True)


@pytest.fixture(scope="session")
def phone(desk: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same bundle without its host files."""
    folder = Path(shutil.copytree(desk, tmp_path_factory.mktemp("phone") / "bundle"))
    for name in json.loads((desk / "manifest.json").read_text())["host_files"]:
        (folder / name).unlink()
    return folder


@pytest.fixture(scope="session")
def contexts(desk: Path, tiny_data: SimpleNamespace, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The caches of all rows, made at the desk; read-only."""
    folder = tmp_path_factory.mktemp("contexts") / "made"
    with seedtune.open(desk, threads=1) as model:
        for name in ("train", "eval"):
            model.cache_contexts(getattr(tiny_data, name), folder, name=name)
    return folder


def test_a_run_on_the_phone_is_the_run_at_the_desk_bit_for_bit(
    desk: Path, phone: Path, contexts: Path, tune_tiny: Tune, tmp_path: Path
) -> None:
    at_desk = tune_tiny(tmp_path / "desk", bundle=desk)
    before = {path: path.read_bytes() for path in contexts.iterdir()}
    on_phone = tune_tiny(tmp_path / "phone", bundle=phone, cache=CacheOptions(contexts))
    assert journal_bytes(tmp_path / "phone") == journal_bytes(tmp_path / "desk")
    assert on_phone.state_sha256 == at_desk.state_sha256
    assert on_phone.loss_end == at_desk.loss_end
    # What was made at the desk is what a run there makes of the same rows, and the phone only reads it.
    assert {path: path.read_bytes() for path in contexts.iterdir()} == before
    made = {path.name: path.read_bytes() for path in (tmp_path / "desk" / "contexts").glob("*.contexts")}
    assert made == {path.name: raw for path, raw in before.items() if path.suffix == ".contexts"}


def test_a_run_at_the_desk_finds_every_row_and_a_second_cache_computes_nothing(
    desk: Path, contexts: Path, tiny_data: SimpleNamespace, tune_tiny: Tune, tmp_path: Path
) -> None:
    told: list[Event] = []
    tune_tiny(tmp_path / "run", bundle=desk, cache=CacheOptions(contexts), prepare=told.append, steps=1)
    assert not [event for event in told if isinstance(event, CachingContexts)]
    copy = Path(shutil.copytree(contexts, tmp_path / "contexts"))
    with seedtune.open(desk, threads=1) as model:
        plan = model.cache_contexts(tiny_data.train, copy)
        assert (plan.rows > 0, plan.missing_rows) == (True, 0)
        part = contexts_path(model.bundle, copy, "part")
        assert model.cache_contexts([{"text": "a good film"}, {"text": "a good film"}], copy, name="part").rows == 1
        assert part.is_file()


def test_a_size_is_told_before_contexts_are_computed(desk: Path, tiny_data: SimpleNamespace, tmp_path: Path) -> None:
    told: list[Event] = []
    with seedtune.open(desk, threads=1) as model:
        plan = model.cache_contexts(tiny_data.eval, tmp_path, name="eval", on=told.append)
    assert isinstance(told[0], Notice)
    assert f"{plan.rows:,} rows" in told[0].text
    assert "MB" in told[0].text
    assert [event.done for event in told[1:] if isinstance(event, CachingContexts)] == list(range(plan.rows + 1))


def test_rows_without_a_context_are_refused_before_the_first_step_with_their_place_and_the_command(
    phone: Path, contexts: Path, tiny_data: SimpleNamespace, tune_tiny: Tune, tmp_path: Path
) -> None:
    new = '{"text": "a song that nobody knows", "label": "0"}\n'
    rows = tmp_path / "more.jsonl"
    rows.write_text(tiny_data.train.read_text() + new + new)
    with pytest.raises(SeedTuneError, match=r"2 of 66 rows \(train\) have no context") as caught:
        tune_tiny(tmp_path / "run", bundle=phone, train=rows, cache=CacheOptions(contexts))
    assert caught.value.file == f"{rows}:65"
    assert f"seedtune cache {phone.name} --data {rows} --out contexts --name train" in str(caught.value.remedy)
    assert "context.safetensors" in str(caught.value.rule)
    with pytest.raises(SeedTuneError, match=r"2 of 66 rows \(eval\) have no context") as caught:
        tune_tiny(tmp_path / "run", bundle=phone, held_out=rows, cache=CacheOptions(contexts))
    assert "--name eval" in str(caught.value.remedy)
    with pytest.raises(SeedTuneError, match="64 of 64 rows"):
        tune_tiny(tmp_path / "run", bundle=phone, cache=CacheOptions(tmp_path / "none"))
    with pytest.raises(SeedTuneError, match="64 of 64 rows"):
        tune_tiny(tmp_path / "run", bundle=phone)
    assert not (tmp_path / "run" / "journal.bin").exists()
    assert not (tmp_path / "none").exists()


def test_a_cache_limit_keeps_nothing_from_being_read(
    phone: Path, contexts: Path, tune_tiny: Tune, tmp_path: Path
) -> None:
    whole = tune_tiny(tmp_path / "whole", bundle=phone, cache=CacheOptions(contexts))
    limited = tune_tiny(tmp_path / "limited", bundle=phone, cache=CacheOptions(contexts, 0))
    assert limited.state_sha256 == whole.state_sha256


def test_a_cache_of_another_bundle_or_a_damaged_one_is_no_context(
    phone: Path, contexts: Path, tune_tiny: Tune, tmp_path: Path
) -> None:
    copy = Path(shutil.copytree(contexts, tmp_path / "contexts"))
    (train,) = copy.glob("train-*.contexts")
    raw = bytearray(train.read_bytes())
    raw[-100] ^= 1
    train.write_bytes(raw)
    with pytest.raises(SeedTuneError, match="altered"):
        tune_tiny(tmp_path / "altered", bundle=phone, cache=CacheOptions(copy))
    train.write_bytes(raw[: len(raw) // 2])
    with pytest.raises(SeedTuneError, match="of 64 rows"):
        tune_tiny(tmp_path / "short", bundle=phone, cache=CacheOptions(copy))


def test_questions_are_answered_from_the_cache_or_refused(
    desk: Path, phone: Path, contexts: Path, tiny_data: SimpleNamespace
) -> None:
    rows = [json.loads(line) for line in tiny_data.eval.read_text().splitlines()]
    with seedtune.open(desk, threads=1) as at_desk, seedtune.open(phone, threads=1) as model:
        expected = at_desk.evaluate(tiny_data.eval, cache=contexts)
        found = model.evaluate(tiny_data.eval, cache=contexts)
        assert found.losses.tolist() == expected.losses.tolist()
        assert model.predict(rows, cache=contexts) == at_desk.predict(rows, cache=contexts)
        with pytest.raises(SeedTuneError, match="24 of 24 rows") as caught:
            model.predict(rows)
        assert caught.value.file == "row:1"
        with pytest.raises(SeedTuneError, match="24 of 24 rows"):
            model.evaluate(tiny_data.eval)
        with pytest.raises(SeedTuneError, match="host files are at the desk"):
            model.cache_contexts(tiny_data.eval, contexts)


def test_a_memory_limit_holds_for_caches_and_for_runs_without_host_files(
    desk: Path, phone: Path, contexts: Path, tiny_data: SimpleNamespace, tmp_path: Path
) -> None:
    with seedtune.open(desk, threads=1, memory_limit="4G") as model:
        model.cache_contexts(tiny_data.train, tmp_path / "contexts")
    limited, whole = (next(folder.glob("train-*.contexts")) for folder in (tmp_path / "contexts", contexts))
    assert limited.stat().st_size == whole.stat().st_size
    results = []
    for place, bundle in (("desk", desk), ("phone", phone)):
        with seedtune.open(bundle, threads=1, memory_limit="4G") as model:
            options: dict[str, Any] = {"steps": 4, "batch_size": 8, "rows_per_call": 64}
            tuning = model.tune(tiny_data.train, tiny_data.eval, out=tmp_path / place, cache=contexts, **options)
            for _event in tuning:
                pass
            results.append(tuning.result)
    assert results[0].state_sha256 == results[1].state_sha256
    with seedtune.open(desk, threads=1, memory_limit="1M") as model, pytest.raises(SeedTuneError, match="too small"):
        model.cache_contexts(tiny_data.train, tmp_path / "small")


def test_a_bundle_that_keeps_nothing_and_a_name_that_is_a_path_are_refused(
    tiny_bundle: Path, desk: Path, tiny_data: SimpleNamespace, tmp_path: Path
) -> None:
    with seedtune.open(tiny_bundle) as model, pytest.raises(SeedTuneError, match="nothing of a row is kept"):
        model.cache_contexts(tiny_data.train, tmp_path)
    for name in ("", "..", ".hidden", "a/b", "/train"):
        with seedtune.open(desk) as model, pytest.raises(SeedTuneError, match="cannot have this name"):
            model.cache_contexts(tiny_data.train, tmp_path, name=name)
    assert list(tmp_path.iterdir()) == []
