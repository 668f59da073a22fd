"""Runs of `bench/scope.py` on tiny bundles: what is evaluated is the last state, and runs share their caches."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest

import seedtune
from bench import scope
from seedtune.runtime.graphs.mapped import MappedGraphs
from seedtune.runtime.model.feeders import open_feeder
from seedtune.runtime.model.splits import load_split


@pytest.fixture
def reviews(tiny_data: SimpleNamespace, monkeypatch: pytest.MonkeyPatch) -> None:
    """Tiny rows in the place of the demo's."""
    monkeypatch.setattr(scope.smollm2, "data", lambda: {"train": tiny_data.train, "test": tiny_data.eval})


@pytest.mark.usefixtures("reviews")
def test_the_accuracy_is_that_of_the_last_state(
    suffix_bundle: Path, tiny_data: SimpleNamespace, tmp_path: Path
) -> None:
    out, cache = tmp_path / "run", tmp_path / "contexts"
    found = scope.tuned_accuracy(suffix_bundle, out, 5, 3, cache)
    with seedtune.open(out, step=5) as last, seedtune.open(out) as best:
        assert found == last.evaluate(tiny_data.eval).accuracy
        assert best.step == 5
    assert sorted(file.name.partition("-")[0] for file in cache.glob("*.contexts")) == ["eval", "train"]
    assert not (out / "contexts").exists()


def test_steps_of_both_scopes_are_timed(bundle_of: Callable[..., Path], tiny_data: SimpleNamespace) -> None:
    graphs = {}
    for name in ("all", "suffix"):
        with seedtune.open(bundle_of("causal", name, "fp16" if name == "suffix" else "fp32")) as model:
            graphs[name] = MappedGraphs(model.bundle, 1)
    feeders = {
        name: open_feeder(one, load_split(tiny_data.train, one.bundle.compiled_task()).examples)
        for name, one in graphs.items()
    }
    found = scope.time_steps(graphs, feeders)
    assert found.keys() == {"all", "suffix"}
    assert min(found.values()) > 0
