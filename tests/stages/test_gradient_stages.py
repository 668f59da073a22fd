"""The gradient graph in stages: the whole graph's gradient, a layer at a time on the way there and on the way back."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from stages_lab import LAYERS, Case, streamed

from seedtune.exporter.stages.assign import LAYER
from seedtune.runtime.bundle.reader import Bundle
from seedtune.runtime.bundle.stage_plan import GRADIENT, PROBE
from seedtune.runtime.graphs.mapped import MappedGraphs
from seedtune.runtime.graphs.types import MemoryChoice
from seedtune.runtime.model.feeders import open_feeder
from seedtune.runtime.model.limit import limit_memory
from seedtune.runtime.stages.memory_limit import Shape, _Budget
from seedtune.runtime.stages.streaming import StageFiles, StreamedGraphs
from seedtune.runtime.stages.weights import stage_bytes

NAMES = ["loss", "gradient"]
ROUNDING = 1e-6


@pytest.mark.parametrize("tokens_in_flight", [1, 10_000])
def test_a_staged_gradient_is_that_of_the_whole_graph(case: Case, tokens_in_flight: int) -> None:
    if case.bundle.manifest.language_model.scope == "all":
        pytest.skip("no gradient graph")
    graphs = MappedGraphs(case.bundle, 1)
    batches = list(open_feeder(graphs, case.examples).batches(range(len(case.examples)), 5))
    assert len(batches) > 1
    size = case.bundle.manifest.state.parameters
    shared = {"state": (1e-2 * np.random.default_rng(2).standard_normal(size)).astype(np.float32)}
    within = streamed(case.bundle, tokens_in_flight=tokens_in_flight)
    expected = list(graphs.open("gradient").run(NAMES, batches, shared))
    found = list(within.open("gradient").run(NAMES, batches, shared))
    for (index, (losses, gradient)), (place, (more, other)) in zip(found, expected, strict=True):
        assert np.array_equal(index, place)
        assert np.abs(other).max() > 0
        # ONNX Runtime joins other operators where it sees all of them: 8-bit products, and those of a RoBERTa.
        joined = case.bundle.manifest.storage == "int8" or case.bundle.manifest.language_model.model.family == "masked"
        tolerance = ROUNDING if joined else 0.0
        np.testing.assert_allclose(losses, more, rtol=tolerance)
        np.testing.assert_allclose(gradient, other, rtol=0, atol=tolerance * np.abs(other).max())


def test_no_stage_of_it_reads_more_than_the_largest_of_an_evaluation(deep_bundle: Bundle) -> None:
    files = StageFiles.of(deep_bundle)

    def most(graph: str) -> int:
        weights = [list(stage.weights.values()) for stage in files.plan.graphs[graph]]
        return max(stage_bytes(names, files.tensors, files.plan.roles) for names in weights)

    assert most("gradient") <= most("eval")


def test_it_goes_through_the_layers_and_back_in_order(deep_bundle: Bundle) -> None:
    layers: list[int] = []
    for stage in deep_bundle.plan.graphs["gradient"]:
        found = {LAYER.search(name) for name in stage.weights.values() if deep_bundle.plan.roles[name] == "streamed"}
        of_stage = {int(layer.group(1)) for layer in found if layer}
        assert len(of_stage) <= 1
        layers += of_stage
    in_turn = [layer for layer, _stages in itertools.groupby(layers)]
    # The last layer is where it turns; below the first one's targets nothing is to be differentiated.
    assert in_turn in ([*range(LAYERS), *range(LAYERS - 2, -1, -1)], [*range(LAYERS), *range(LAYERS - 2, 0, -1)])


def test_what_a_limit_leads_to_counts_one_of_the_graphs_of_a_step(case: Case) -> None:
    if case.bundle.manifest.language_model.scope == "all":
        pytest.skip("no gradient graph")

    def limited(graph: str) -> StreamedGraphs:
        return limit_memory(
            case.bundle, case.examples, 10**10, examples_at_once=4, cached=True, threads=1, step_graph=graph
        )

    graphs = [limited(graph) for graph in (PROBE, GRADIENT)]
    for own, other, name in ((graphs[0], graphs[1], PROBE), (graphs[1], graphs[0], GRADIENT)):
        assert own.open(name).outputs
        with pytest.raises(KeyError):
            other.open(name)


def test_a_gradient_for_each_call_in_flight_is_counted(deep_bundle: Bundle) -> None:
    files = StageFiles.of(deep_bundle)
    plan = files.plan.only(GRADIENT)
    shape = Shape(4, 60, 0, 64, 1_000_000, 1000)
    calls, expected = [], []
    for tokens_in_flight in (4, 8, 16):
        budget = _Budget(plan, files.tensors, shape, 0)
        choice = MemoryChoice(10**10, 4, tokens_in_flight, 1, 1 << 20)
        calls.append(tokens_in_flight // 4)
        expected.append(budget.bytes_of(choice))
    for (a, b), (one, more) in zip(itertools.pairwise(calls), itertools.pairwise(expected), strict=True):
        assert more - one >= (b - a) * 4 * shape.parameters
