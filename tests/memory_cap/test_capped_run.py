"""What becomes of ``seedtune run`` under caps, on a tiny bundle: it runs, is killed or refuses, each told apart."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest

from lab import capped_run, page_cache
from lab.capped_run import TuningRun, tune_under
from lab.memory_cap import CapError

STEPS = 3
Tune = Callable[..., TuningRun]


@pytest.fixture
def tune(
    caps: None, tiny_bundle: Path, tiny_data: SimpleNamespace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Tune:
    """``tune(cap_bytes, *options)``: a run of three steps; other files of the machine stay cached."""
    monkeypatch.setattr(page_cache, "DROP_CACHES", tmp_path / "nowhere" / "drop_caches")
    # Sessions of other tests keep the shared bundle mapped, and mapped pages stay cached.
    bundle = Path(shutil.copytree(tiny_bundle, tmp_path / "bundle"))

    def call(
        cap_bytes: int | None,
        *options: str,
        out: str = "run",
        timeout_seconds: float = 60,
        bundle: Path = bundle,
    ) -> TuningRun:
        given = ["--train", str(tiny_data.train), "--steps", str(STEPS), "--batch-size", "8", "--threads", "1"]
        return tune_under(cap_bytes, bundle, [*given, *options], tmp_path / out, timeout_seconds)

    return call


def test_a_cap_that_is_large_enough_changes_nothing_but_what_is_seen(tune: Tune) -> None:
    free, capped = tune(None), tune(500_000_000, out="capped")
    seconds = []
    for run in (free, capped):
        assert (run.outcome, run.message, len(run.step_seconds)) == ("ran", "", STEPS)
        assert run.process.rss_anon_peak_bytes is not None
        assert run.other_steps_seconds is not None
        assert 0 < run.other_steps_seconds < run.process.seconds
        seconds.append(run.other_steps_seconds)
    assert capped.losses == free.losses
    assert capped.ratio(free) == pytest.approx(seconds[1] / seconds[0])
    assert capped.process.cgroup_peak_bytes is not None
    assert capped.process.cgroup_peak_bytes <= 500_000_000


def test_gradients_within_a_limit_live_under_a_cap_of_that_limit(
    tune: Tune, bundle_of: Callable[..., Path], tmp_path: Path
) -> None:
    bundle = Path(shutil.copytree(bundle_of("causal", "last", "fp16", "fp32", 1), tmp_path / "reach"))
    run = tune(200_000_000, "--memory-limit", "200M", "--estimator", "gradient", bundle=bundle)
    assert (run.outcome, run.message, len(run.step_seconds)) == ("ran", "", STEPS)
    assert run.process.cgroup_peak_bytes is not None
    assert run.process.cgroup_peak_bytes <= 200_000_000


def test_a_cap_that_is_too_small_kills(tune: Tune) -> None:
    run = tune(20_000_000)
    assert run.outcome == "killed"
    assert "0 steps" in run.message
    assert run.other_steps_seconds is None
    assert run.ratio(run) is None


def test_a_refusal_is_no_failure_and_keeps_its_message(tune: Tune) -> None:
    run = tune(None, "--learning-rate", "-1")
    assert run.outcome == "refused"
    assert "--learning-rate is out of range" in run.message


def test_a_run_that_takes_too_long_is_stopped(tune: Tune) -> None:
    assert tune(None, timeout_seconds=0.05).outcome == "stopped"


def test_a_bundle_that_stays_cached_is_not_measured(tune: Tune, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(page_cache, "cached_bytes", lambda file: file.stat().st_size)
    with pytest.raises(CapError, match="stay in the page cache"):
        tune(None)


def test_a_torn_last_step_is_left_out(tmp_path: Path) -> None:
    log = tmp_path / "steps.jsonl"
    log.write_text('{"step": 1}\n{"step": 2}\n{"st')
    assert [step["step"] for step in capped_run._records(log)] == [1, 2]
    assert capped_run._records(tmp_path / "none.jsonl") == []
