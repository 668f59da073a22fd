"""Runs that start from the closed form: replay, resume and refusals; what is told; and what the folder stands for."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from run_lab import Tune, journal_bytes, lines

import seedtune
from seedtune.runtime.bundle.reader import Bundle
from seedtune.runtime.errors import SeedTuneError
from seedtune.runtime.files import sha256_of
from seedtune.runtime.journal.file import read_journal
from seedtune.runtime.noise import derive_seed, rademacher
from seedtune.runtime.telemetry.events import Event, Notice

PROBE = {"start": "linear-probe"}


@pytest.fixture
def probed(tune_tiny: Tune, tmp_path: Path) -> SimpleNamespace:
    """An uninterrupted run of eight steps from a linear probe."""
    events: list[Event] = []
    result = tune_tiny(tmp_path / "probed", prepare=events.append, **PROBE)
    return SimpleNamespace(path=tmp_path / "probed", result=result, events=events)


def assert_order(less: float | None, more: float | None) -> None:
    assert less is not None
    assert more is not None
    assert less < more


def told(events: list[Event]) -> list[str]:
    return [event.text for event in events if isinstance(event, Notice)]


def written_rows(path: Path, labels: list[int]) -> Path:
    rows = [
        {"text": f"a {('bad', 'good')[label]} film {index}", "label": str(label)} for index, label in enumerate(labels)
    ]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def test_start_and_journal_together_are_the_state_to_the_bit(probed: SimpleNamespace, tiny_bundle: Path) -> None:
    """Replayed by hand: the head's values out of the file, then one step after another."""
    layout = Bundle.open(tiny_bundle).manifest.state
    assert layout.head is not None
    raw = (probed.path / "start.safetensors").read_bytes()
    state = np.zeros(layout.parameters, np.float32)
    state[layout.head.offset :][: layout.head.parameters] = np.frombuffer(raw[-4 * layout.head.parameters :], "<f4")
    with seedtune.open(probed.path, step=0) as model:
        assert model.state.values.tobytes() == state.tobytes()
    journal = read_journal(probed.path / "journal.bin")
    for record in range(8):
        z = rademacher(derive_seed(5, "probe", record), layout.parameters)
        state += journal.records["coefficient"][record] * z
    with seedtune.open(probed.path, step=8) as model:
        assert model.state.values.tobytes() == state.tobytes()
        assert model.state.sha256() == probed.result.state_sha256
    assert journal.header.start_sha256 == sha256_of(probed.path / "start.safetensors")
    assert json.loads((probed.path / "run.json").read_text())["start_sha256"] == journal.header.start_sha256


def test_the_probe_lowers_the_loss_of_rows_it_has_not_seen(
    probed: SimpleNamespace, tune_tiny: Tune, tmp_path: Path
) -> None:
    zero = tune_tiny(tmp_path / "zero", start="zero")
    result = probed.result
    assert (result.start, zero.start) == ("linear-probe", "zero")
    assert result.loss_start < result.loss_zero_shot - 0.1
    assert result.accuracy_start > result.accuracy_zero_shot
    # Both runs say the same of the untouched model.
    assert (result.loss_zero_shot, result.accuracy_zero_shot) == (zero.loss_zero_shot, zero.accuracy_zero_shot)
    assert zero.loss_zero_shot == zero.loss_start
    (notice,) = [text for text in told(probed.events) if text.startswith("start ")]
    assert notice.startswith("start linear-probe: 64 training rows: ")


def test_the_first_evaluation_is_of_the_start(probed: SimpleNamespace, tiny_data: SimpleNamespace) -> None:
    first = lines(probed.path / "evaluations.jsonl")[0]
    with seedtune.open(probed.path, step=0) as model:
        found = model.evaluate(tiny_data.eval)
    assert (first["step"], first["loss"], first["accuracy"]) == (0, found.loss, found.accuracy)


def test_an_interrupted_run_goes_on_to_the_same_bits(
    probed: SimpleNamespace, tune_tiny: Tune, stop_when: Callable, tmp_path: Path
) -> None:
    tune_tiny(tmp_path / "run", stop=stop_when(4), **PROBE)
    start = (tmp_path / "run" / "start.safetensors").read_bytes()
    assert start == (probed.path / "start.safetensors").read_bytes()
    result = tune_tiny(tmp_path / "run", resume=True)
    assert result.state_sha256 == probed.result.state_sha256
    assert journal_bytes(tmp_path / "run") == journal_bytes(probed.path)
    assert (tmp_path / "run" / "start.safetensors").read_bytes() == start
    assert result.loss_zero_shot == probed.result.loss_zero_shot


def test_momentum_starts_there_too(tune_tiny: Tune, stop_when: Callable, tmp_path: Path) -> None:
    whole = tune_tiny(tmp_path / "whole", optimizer="momentum", **PROBE)
    tune_tiny(tmp_path / "run", optimizer="momentum", stop=stop_when(3), **PROBE)
    assert tune_tiny(tmp_path / "run", resume=True).state_sha256 == whole.state_sha256
    with seedtune.open(tmp_path / "run", step=8) as model:
        assert model.state.sha256() == whole.state_sha256


@pytest.mark.parametrize("spoil", ["missing", "altered"])
def test_a_run_without_its_start_is_refused_by_name(probed: SimpleNamespace, tune_tiny: Tune, spoil: str) -> None:
    path = probed.path / "start.safetensors"
    raw = path.read_bytes()
    path.unlink()
    if spoil == "altered":
        path.write_bytes(raw[:-1] + bytes([raw[-1] ^ 1]))
    for use in (lambda: seedtune.open(probed.path), lambda: tune_tiny(probed.path, resume=True)):
        with pytest.raises(SeedTuneError, match=f"the start of the run .*{spoil}") as caught:
            use()
        assert str(caught.value.file) == str(path)


def test_a_journal_without_its_start_in_the_description_is_refused(probed: SimpleNamespace) -> None:
    path = probed.path / "run.json"
    description = json.loads(path.read_text())
    del description["start_sha256"]
    path.write_text(json.dumps(description))
    with pytest.raises(SeedTuneError, match="the journal belongs to another run"):
        seedtune.open(probed.path)


@pytest.mark.parametrize("labels", [[0, 0, 0, 0], [0, 0, 0, 1]])
def test_too_few_rows_of_a_label_start_from_zero_and_say_why(
    tune_tiny: Tune, tmp_path: Path, labels: list[int]
) -> None:
    events: list[Event] = []
    train = written_rows(tmp_path / "train.jsonl", labels)
    result = tune_tiny(tmp_path / "run", train=train, steps=2, batch_size=2, prepare=events.append, **PROBE)
    (notice,) = [text for text in told(events) if text.startswith("start zero")]
    assert "'positive' has " + str(labels.count(1)) in notice
    assert result.start == "zero"
    assert not (tmp_path / "run" / "start.safetensors").exists()
    assert tune_tiny(tmp_path / "run", resume=True).steps == 2


def test_where_nothing_beats_the_untouched_model_the_run_stands_for_it(
    tune_tiny: Tune, tiny_data: SimpleNamespace, tmp_path: Path
) -> None:
    """Training rows whose labels are exchanged teach the opposite of what held-out rows ask."""
    rows = [json.loads(line) for line in tiny_data.train.read_text().splitlines()]
    train = tmp_path / "exchanged.jsonl"
    train.write_text("".join(json.dumps(row | {"label": "10"[int(row["label"])]}) + "\n" for row in rows))
    result = tune_tiny(tmp_path / "run", train=train, **PROBE)
    assert result.start == "linear-probe"
    assert_order(result.loss_zero_shot, result.loss_start)
    assert result.best_step is None
    assert result.accuracy_best == result.accuracy_zero_shot
    with seedtune.open(tmp_path / "run") as model:
        assert not model.state.values.any()
        assert model.evaluate(tiny_data.eval).loss == result.loss_zero_shot


def test_a_suffix_bundle_starts_there_from_its_cache(suffix_bundle: Path, tune_tiny: Tune, tmp_path: Path) -> None:
    result = tune_tiny(tmp_path / "run", bundle=suffix_bundle, **PROBE)
    assert_order(result.loss_start, result.loss_zero_shot)


def test_a_memory_limit_leads_to_the_same_start(
    suffix_bundle: Path, tiny_data: SimpleNamespace, tmp_path: Path
) -> None:
    """By stages, and by other batches, which round otherwise."""
    starts = []
    for limit in (None, "8G"):
        with seedtune.open(suffix_bundle, threads=1, memory_limit=limit) as model:
            out = tmp_path / str(limit)
            settings: dict[str, Any] = {"steps": 1, "batch_size": 8, "rows_per_call": 64} | PROBE
            list(model.tune(tiny_data.train, out=out, **settings))
        with seedtune.open(out, step=0) as model:
            starts.append(model.state.values)
    np.testing.assert_allclose(starts[0], starts[1], atol=1e-3)


def test_a_model_with_a_start_is_not_tuned_again(
    probed: SimpleNamespace, tiny_data: SimpleNamespace, tmp_path: Path
) -> None:
    with seedtune.open(probed.path, step=0) as model, pytest.raises(SeedTuneError, match="was tuned before"):
        list(model.tune(tiny_data.train, out=tmp_path / "again"))


def test_the_report_shows_the_untouched_model_the_probe_and_the_best_state(probed: SimpleNamespace) -> None:
    pytest.importorskip("plotly")
    from seedtune.runtime.report.collect import collect
    from seedtune.runtime.report.summary import summarise

    summary = summarise(collect(probed.path))
    assert summary.before is not None
    assert summary.probe is not None
    assert summary.after is not None
    assert (summary.before.value, summary.probe.value, summary.after.value) == (
        probed.result.accuracy_zero_shot, probed.result.accuracy_start, probed.result.accuracy_best,
    )  # fmt: skip
