"""Runs in which the state acts at the last token and in the upper layers: the same promises as of any other run."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from run_lab import Tune, journal_bytes, losses_and_accuracy

from seedtune.runtime.bundle.reader import Bundle
from seedtune.runtime.context.contexts import Contexts
from seedtune.runtime.graphs.mapped import MappedGraphs
from seedtune.runtime.journal.file import read_journal
from seedtune.runtime.model.feeders import CacheOptions, open_feeder


@pytest.fixture(scope="session", params=["causal", "masked"])
def reach_bundle(request: pytest.FixtureRequest, bundle_of: Callable[..., Path]) -> Path:
    """A bundle of scope "last" in one layer of two."""
    return bundle_of(request.param, "last", "fp16", "fp32", 1)


def test_tuning_lowers_the_loss_of_rows_it_has_not_seen(reach_bundle: Path, tune_tiny: Tune, tmp_path: Path) -> None:
    options = {"steps": 80, "batch_size": 16, "eval_every": 80, "learning_rate": 0.1}
    before, after, _ = losses_and_accuracy(tune_tiny(tmp_path / "run", bundle=reach_bundle, **options))
    assert after < before - 0.05


def test_an_interrupted_run_is_the_uninterrupted_one_and_the_cache_changes_rounding_only(
    reach_bundle: Path, tune_tiny: Tune, stop_when: Callable, tmp_path: Path
) -> None:
    whole = tune_tiny(tmp_path / "whole", bundle=reach_bundle)
    tune_tiny(tmp_path / "cut", bundle=reach_bundle, stop=stop_when(3))
    assert tune_tiny(tmp_path / "cut", bundle=reach_bundle, resume=True).state_sha256 == whole.state_sha256
    assert journal_bytes(tmp_path / "cut") == journal_bytes(tmp_path / "whole")
    tune_tiny(tmp_path / "uncached", bundle=reach_bundle, cache=CacheOptions(None, 0))
    found, expected = (read_journal(tmp_path / name / "journal.bin").records for name in ("uncached", "whole"))
    assert found["loss_plus"] == pytest.approx(expected["loss_plus"], rel=1e-3)


def test_rows_that_begin_alike_share_nothing_and_equal_rows_are_kept_once(reach_bundle: Path, tmp_path: Path) -> None:
    """What enters the reach follows from the whole row, not from its context alone."""
    bundle = Bundle.open(reach_bundle)
    task = bundle.compiled_task()
    rows = [task.encode({"text": text}) for text in ("a good film", "a good song", "a good film")]
    assert [list(row.suffix if row.suffix is not None else ()) for row in rows] == [[row.position] for row in rows]
    contexts = Contexts(MappedGraphs(bundle, 1), rows, tmp_path / "rows.contexts")
    plan = contexts.plan()
    assert plan.rows == 2
    list(contexts.build())
    first, second, third = contexts.blocks(range(3))
    assert np.array_equal(first["entering"][0], third["entering"][0])
    assert not np.array_equal(first["entering"][0], second["entering"][0])
    (batch,) = open_feeder(MappedGraphs(bundle, 1), rows).batches(range(3), 100)
    assert batch.arrays["entering"].shape == (3, 1, bundle.manifest.language_model.model.hidden_size)
    assert batch.work.computed == 3
