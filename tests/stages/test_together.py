"""Stages that read no contexts run once for all calls in flight, and nothing else changes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from stages_lab import EPSILON, SEED, Case, streamed

from seedtune.runtime.batches.types import Batch
from seedtune.runtime.bundle.reader import Bundle
from seedtune.runtime.bundle.stage_plan import GRADIENT, Stage, decode_plan, encode_plan
from seedtune.runtime.graphs.mapped import MappedGraphs
from seedtune.runtime.graphs.types import Graphs
from seedtune.runtime.model.feeders import open_feeder
from seedtune.runtime.stages.staged_graph import StagedGraph
from seedtune.runtime.stages.together import Together, Values

# family, scope, storage of contexts, storage of weights, layers
GRID = (
    ("causal", "last", "fp16", "int8", 1),
    ("causal", "last", "int8", "int8", 2),
    ("masked", "last", "fp32", "int8", 1),
    ("causal", "suffix", "fp16", "int8", 2),
)
OF_FLOATS = (("causal", "last", "fp16", "fp32", 1), ("causal", "last", "fp16", "int4", 1))


@pytest.fixture(scope="module", params=GRID, ids=str)
def finely_cut(request: pytest.FixtureRequest, bundle_of: Callable[..., Path], case_of: Callable[..., Case]) -> Case:
    """A bundle with a stage for every matrix, and rows."""
    return case_of(bundle_of(*request.param, finely_cut=True))


def runs_of(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The stage graph of every run from now on."""
    found: list[str] = []
    run = StagedGraph._run_stage

    def noted(self: StagedGraph, stage: Stage, *arguments: Any) -> Values:
        found.append(stage.graph)
        return run(self, stage, *arguments)

    monkeypatch.setattr(StagedGraph, "_run_stage", noted)
    return found


def test_feed_forward_layers_may_run_together_and_attention_may_not(finely_cut: Case) -> None:
    plan = finely_cut.bundle.plan
    for name in ("probe", "eval"):
        stages = plan.graphs[name]
        once = [stage for stage in stages[1:] if stage.together]
        assert once, name
        assert not any(stage.layers for stage in once)
        assert all(set(stage.together) == set(stage.outputs.values()) for stage in once)
        assert any(not stage.together for stage in stages)
    for name in ("context", GRADIENT):
        assert not any(stage.together for stage in plan.graphs.get(name, ()))


def everything(graphs: Graphs, batches: list[Batch]) -> list[np.ndarray]:
    """What the probe and the eval graph return for ``batches``, which bring their contexts."""
    state = 1e-2 * np.random.default_rng(1).standard_normal(graphs.bundle.manifest.state.parameters)
    inputs: dict[str, np.ndarray] = {
        "state": state.astype(np.float32),
        "seed": np.array([SEED], np.int64),
        "epsilon": np.array([EPSILON], np.float32),
    }
    outputs = {"probe": ["loss_plus", "loss_minus"], "eval": ["loss", "log_probabilities"]}
    found: list[np.ndarray] = []
    for name, names in outputs.items():
        shared = inputs if name == "probe" else {"state": inputs["state"]}
        for index, arrays in graphs.open(name).run(names, batches, shared):
            found += [index, *arrays]
    return found


@pytest.mark.parametrize("parameters", OF_FLOATS, ids=str)
def test_products_of_floats_stay_call_by_call(parameters: tuple[Any, ...], bundle_of: Callable[..., Path]) -> None:
    plan = Bundle.open(bundle_of(*parameters, finely_cut=True)).plan
    streamed_names = set(plan.streamed)
    for name in ("probe", "eval"):
        for stage in plan.graphs[name]:
            assert not stage.together or not streamed_names & set(stage.weights.values()), stage.graph


# In tokens: one row a call or, of the last token alone, three and nine, and two in the last.
@pytest.mark.parametrize("tokens_per_call", [1, 3, 9])
def test_the_losses_are_those_of_calls_by_themselves_to_the_bit(finely_cut: Case, tokens_per_call: int) -> None:
    whole = MappedGraphs(finely_cut.bundle, 1)
    batches = list(open_feeder(whole, finely_cut.examples).batches(range(len(finely_cut.examples)), tokens_per_call))
    apart = everything(streamed(finely_cut.bundle, tokens_in_flight=10_000), batches)
    found = everything(streamed(finely_cut.bundle, tokens_in_flight=10_000, together=True), batches)
    assert len(found) == len(apart) > 6
    assert all(map(np.array_equal, found, apart))
    # Cut so finely, ONNX Runtime fuses other operators than in the whole graph.
    for staged, of_whole in zip(found, everything(whole, batches), strict=True):
        np.testing.assert_allclose(staged, of_whole, atol=1e-4)


def test_a_stage_that_may_runs_once_for_all_calls(finely_cut: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    bundle, rows = finely_cut.bundle, finely_cut.examples
    tokens = max(len(row.suffix) for row in rows if row.suffix is not None)
    batches = list(open_feeder(MappedGraphs(bundle, 1), rows).batches(range(len(rows)), 3 * tokens))
    assert Together.possible(batches)
    runs = runs_of(monkeypatch)
    everything(streamed(bundle, tokens_in_flight=10_000), batches)
    apart = len(runs)
    runs.clear()
    everything(streamed(bundle, tokens_in_flight=10_000, together=True), batches)
    stages = [stage for name in ("probe", "eval") for stage in bundle.plan.graphs[name][1:] if stage.together]
    # And stage 0 of each once more.
    assert apart - len(runs) == (len(batches) - 1) * len(stages) - 2


def test_calls_whose_rows_differ_in_more_than_their_contexts_stay_apart() -> None:
    class Call:
        def __init__(self, rows: int, tokens: int) -> None:
            self.index = np.arange(rows)
            self.arrays = {"mask": np.ones((rows, tokens), np.int64)}

    assert Together.possible([Call(2, 1), Call(3, 1)])  # type: ignore[list-item]
    assert not Together.possible([Call(2, 1), Call(1, 1)])  # type: ignore[list-item]
    assert not Together.possible([Call(2, 1), Call(2, 3)])  # type: ignore[list-item]
    assert not Together.possible([Call(2, 1)])  # type: ignore[list-item]


def test_stages_of_an_earlier_day_run_call_by_call(finely_cut: Case) -> None:
    document = msgspec.json.decode(encode_plan(finely_cut.bundle.plan))
    for stages in document["graphs"].values():
        for stage in stages:
            del stage["together"]
    plan = decode_plan(msgspec.json.encode(document), Path("stages.json"))
    assert not any(stage.together for stages in plan.graphs.values() for stage in stages)
