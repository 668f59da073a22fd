"""Opening: a bundle is the untouched model, a RUN folder its best state, and anything else is refused by name."""

from __future__ import annotations

import shutil
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

import seedtune
from seedtune.runtime.journal.file import read_journal
from seedtune.runtime.noise import rademacher


def replayed_by_hand(run: Path, steps: int) -> np.ndarray:
    """Float32 additions of float32 products, in order."""
    journal = read_journal(run / "journal.bin")
    state = np.zeros(journal.header.state_parameters, np.float32)
    for seed, record in list(zip(journal.seeds(), journal.records, strict=True))[:steps]:
        state = state + record["coefficient"][0] * rademacher(int(seed), len(state))
    return state


@pytest.mark.parametrize("kind", [str, Path])
def test_a_bundle_is_the_untouched_model(tiny_bundle: Path, kind: type) -> None:
    with seedtune.open(kind(tiny_bundle)) as model:
        assert isinstance(model, seedtune.Model)
        assert (model.step, model.is_run) == (0, False)
        assert model.state.values.shape == (model.bundle.manifest.state.parameters,)
        assert not model.state.values.any()


def test_a_run_is_its_best_state(whole: SimpleNamespace) -> None:
    evaluations = [event.record for event in whole.events if isinstance(event, seedtune.events.Evaluated)]
    best = min(evaluations, key=lambda record: (record.loss, record.step)).step
    with seedtune.open(whole.path) as model:
        assert (model.step, model.is_run) == (best, True)
        assert model.state.values.tobytes() == replayed_by_hand(whole.path, best).tobytes()


@pytest.mark.parametrize("step", [0, 1, 7, 8])
def test_any_step_of_a_run_can_be_had(whole: SimpleNamespace, step: int) -> None:
    with seedtune.open(whole.path, step=step) as model:
        assert model.step == step
        assert model.state.values.tobytes() == replayed_by_hand(whole.path, step).tobytes()
        assert (model.state.sha256() == whole.result.state_sha256) == (step == 8)


@pytest.mark.parametrize("step", [-1, 9, 10**9])
def test_a_step_that_the_run_does_not_have_is_refused(whole: SimpleNamespace, step: int) -> None:
    with pytest.raises(seedtune.SeedTuneError, match="no such step") as caught:
        seedtune.open(whole.path, step=step)
    assert "0 to 8" in str(caught.value)


def test_a_bundle_that_was_moved_can_be_pointed_to(
    whole: SimpleNamespace, tiny_bundle: Path, suffix_bundle: Path, tmp_path: Path
) -> None:
    moved = Path(shutil.copytree(tiny_bundle, tmp_path / "moved"))
    with seedtune.open(whole.path, bundle=str(moved), step=8) as model:
        assert model.bundle.path == moved
        assert model.state.sha256() == whole.result.state_sha256
    with pytest.raises(seedtune.SeedTuneError, match="another bundle"):
        seedtune.open(whole.path, bundle=suffix_bundle)
    with pytest.raises(seedtune.SeedTuneError, match="not where it was"):
        seedtune.open(whole.path, bundle=tmp_path / "gone")


@pytest.mark.parametrize("name", ["gone", "empty", "file"])
def test_what_is_neither_bundle_nor_run_is_refused(tmp_path: Path, name: str) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "file").write_text("text")
    with pytest.raises(seedtune.SeedTuneError, match="neither a bundle nor a run") as caught:
        seedtune.open(tmp_path / name)
    assert caught.value.file == str(tmp_path / name)


def test_a_damaged_bundle_is_refused_when_it_is_opened(tiny_bundle: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(tiny_bundle, tmp_path / "copy"))
    weights = copy / "weights.safetensors"
    raw = bytearray(weights.read_bytes())
    raw[-1] ^= 1
    weights.write_bytes(raw)
    with pytest.raises(seedtune.SeedTuneError, match=r"weights\.safetensors"):
        seedtune.open(copy)


def test_a_damaged_journal_is_refused_when_the_run_is_opened(whole: SimpleNamespace, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(whole.path, tmp_path / "copy"))
    raw = bytearray((copy / "journal.bin").read_bytes())
    raw[-30] ^= 1
    (copy / "journal.bin").write_bytes(raw)
    with pytest.raises(seedtune.SeedTuneError, match="altered"):
        seedtune.open(copy)


@pytest.mark.parametrize("limit", ["lots", "", "-1", "1.G"])
def test_a_memory_limit_that_is_no_size_is_refused(tiny_bundle: Path, limit: str) -> None:
    with pytest.raises(seedtune.SeedTuneError, match="--memory-limit is not a size"):
        seedtune.open(tiny_bundle, memory_limit=limit)


@pytest.mark.parametrize("limit", [1, "1M"])
def test_a_memory_limit_below_what_the_process_holds_is_refused_with_the_least(
    tiny_bundle: Path, unlabelled: list[dict[str, str]], limit: int | str
) -> None:
    with seedtune.open(tiny_bundle, memory_limit=limit) as model:
        with pytest.raises(seedtune.SeedTuneError, match="memory") as caught:
            model.predict(unlabelled)
        assert caught.value.rule


def test_a_memory_limit_changes_answers_by_rounding_only(tiny_bundle: Path, unlabelled: list[dict[str, str]]) -> None:
    with (
        seedtune.open(tiny_bundle, threads=1) as free,
        seedtune.open(tiny_bundle, threads=1, memory_limit=2**40) as limited,
    ):
        expected, found = free.predict(unlabelled), limited.predict(unlabelled)
    for row, of_free in zip(found, expected, strict=True):
        assert row == pytest.approx(of_free, abs=1e-5)
