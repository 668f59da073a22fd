"""Held-out rows out of the training rows: every label has its share, no row is in both, and a resume splits alike."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from run_lab import Tune, journal_bytes, lines

from seedtune.runtime.errors import SeedTuneError
from seedtune.runtime.model.split_off import LARGEST, SHARE, SMALLEST, default_held_out, held_out_places
from seedtune.runtime.telemetry.events import Event, Notice


@pytest.fixture(scope="module")
def many_rows(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A hundred rows, each with a text of its own, of which every fourth has label 1."""
    path = tmp_path_factory.mktemp("many") / "train.jsonl"
    rows = [{"text": f"a {('bad', 'good')[n % 4 == 0]} film {n}", "label": str(int(n % 4 == 0))} for n in range(100)]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


@given(st.lists(st.integers(0, 4), min_size=2, max_size=200), st.data(), st.integers(0, 2**32 - 1))
def test_every_label_has_its_share_to_less_than_a_row(labels: list[int], data: st.DataObject, seed: int) -> None:
    count = data.draw(st.integers(1, len(labels) - 1))
    places = held_out_places(np.array(labels, np.int64), count, seed)
    assert len(set(places.tolist())) == count
    assert (np.diff(places) > 0).all()
    of_label = Counter(labels[place] for place in places)
    for label, size in Counter(labels).items():
        assert abs(of_label[label] - size * count / len(labels)) < 1
    assert (places == held_out_places(np.array(labels, np.int64), count, seed)).all()


def test_a_fifth_is_held_out_by_default_within_bounds() -> None:
    assert default_held_out(SHARE * SMALLEST) == SMALLEST
    assert default_held_out(SHARE * SMALLEST - 1) == 0
    assert default_held_out(10**6) == LARGEST


def test_a_run_without_held_out_rows_splits_some_off_and_says_how_many(
    many_rows: Path, tune_tiny: Tune, tmp_path: Path
) -> None:
    events: list[Event] = []
    result = tune_tiny(
        tmp_path / "run", train=many_rows, held_out=None, held_out_rows=None, steps=3, prepare=events.append
    )
    told = [event.text for event in events if isinstance(event, Notice)]
    assert "20 of 100 training rows are held out: 80 are left to learn from" in told[0]
    assert not any("training rows too" in text for text in told)
    rows = lines(tmp_path / "run" / "predictions_best.jsonl")
    assert Counter(row["label"] for row in rows) == {0: 15, 1: 5}
    data = json.loads((tmp_path / "run" / "run.json").read_text())["data"]
    assert (data["train"]["rows"], data["eval"]["rows"], data["split_off"]) == (80, 20, 20)
    assert data["train"]["sha256"] == data["eval"]["sha256"]
    assert result.accuracy_end is not None


def test_how_many_can_be_said_or_none(many_rows: Path, tune_tiny: Tune, tmp_path: Path) -> None:
    for count in (0, 7):
        out = tmp_path / str(count)
        result = tune_tiny(out, train=many_rows, held_out=None, held_out_rows=count, steps=2)
        assert (result.accuracy_end is None) == (count == 0)
        assert json.loads((out / "run.json").read_text())["data"]["split_off"] == count


def test_too_few_rows_are_not_split_and_that_is_said(
    tiny_data: SimpleNamespace, tune_tiny: Tune, tmp_path: Path
) -> None:
    events: list[Event] = []
    result = tune_tiny(tmp_path / "run", held_out=None, held_out_rows=None, steps=2, prepare=events.append)
    assert result.accuracy_end is None
    (notice,) = [event.text for event in events if isinstance(event, Notice)]
    assert notice.startswith("no held-out rows: a fifth of 64 rows")


def test_a_resumed_run_holds_out_the_same_rows(
    many_rows: Path, tune_tiny: Tune, stop_when: Callable, tmp_path: Path
) -> None:
    options = {"train": many_rows, "held_out": None, "held_out_rows": None}
    whole = tune_tiny(tmp_path / "whole", **options)
    tune_tiny(tmp_path / "cut", stop=stop_when(3), **options)
    result = tune_tiny(tmp_path / "cut", resume=True)
    assert (result.state_sha256, result.loss_end) == (whole.state_sha256, whole.loss_end)
    assert journal_bytes(tmp_path / "cut") == journal_bytes(tmp_path / "whole")


def test_a_resume_with_other_held_out_rows_is_refused(
    many_rows: Path, tiny_data: SimpleNamespace, tune_tiny: Tune, stop_when: Callable, tmp_path: Path
) -> None:
    tune_tiny(tmp_path / "run", train=many_rows, held_out=None, held_out_rows=10, stop=stop_when(2))
    for change in ({"held_out_rows": 11}, {"held_out_rows": 0}, {"held_out": tiny_data.eval}):
        with pytest.raises(SeedTuneError, match="was begun with another"):
            tune_tiny(tmp_path / "run", resume=True, **change)


@pytest.mark.parametrize(
    ("held_out_rows", "what"),
    [(-1, "--held-out-rows is out of range"), ("many", "--held-out-rows is out of range"), (64, "too many held-out")],
)
def test_a_number_of_rows_that_cannot_be_is_refused_by_name(
    tune_tiny: Tune, tmp_path: Path, held_out_rows: object, what: str
) -> None:
    with pytest.raises(SeedTuneError, match=what) as caught:
        tune_tiny(tmp_path / "run", held_out=None, held_out_rows=held_out_rows)
    assert caught.value.rule


def test_both_a_file_and_a_number_are_refused(tune_tiny: Tune, tmp_path: Path) -> None:
    with pytest.raises(SeedTuneError, match="others asked for"):
        tune_tiny(tmp_path / "run", held_out_rows=5)
