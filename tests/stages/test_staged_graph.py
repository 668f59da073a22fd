"""A graph that runs stage by stage over streamed weights returns the bits of the whole graph."""

from __future__ import annotations

import threading
from collections.abc import Generator

import numpy as np
import pytest
from stages_lab import EPSILON, LAYERS, SEED, Case, losses_of, streamed, two_stages

from seedtune.runtime.bundle.reader import Bundle
from seedtune.runtime.context.blocks import block_bytes
from seedtune.runtime.context.maker import ContextMaker
from seedtune.runtime.graphs.mapped import MappedGraphs
from seedtune.runtime.model.feeders import open_feeder
from seedtune.runtime.stages.streaming import StageFiles


def same(found: list[np.ndarray], expected: list[np.ndarray]) -> bool:
    return len(found) == len(expected) and all(map(np.array_equal, found, expected))


@pytest.mark.parametrize("tokens_in_flight", [1, 60, 10_000])
def test_a_staged_run_returns_the_bits_of_the_whole_graph(case: Case, tokens_in_flight: int) -> None:
    if case.bundle.manifest.language_model.scope != "all":
        pytest.skip("batches depend on the limit; see the next two tests")
    expected = losses_of(MappedGraphs(case.bundle, 1), case.examples, 40)
    assert len(expected) > 6 * 2, "several micro-batches are in flight"
    within = streamed(case.bundle, tokens_in_flight=tokens_in_flight)
    assert same(losses_of(within, case.examples, 40), expected)


def test_a_staged_context_graph_returns_the_same_blocks(case: Case) -> None:
    if case.bundle.manifest.language_model.scope == "all":
        pytest.skip("no contexts")
    blocks = []
    for graphs in (MappedGraphs(case.bundle, 1), streamed(case.bundle, tokens_per_context_call=64)):
        maker = ContextMaker(graphs.open("context"), case.bundle.manifest, 64)
        blocks.append({place: block_bytes(block) for place, block in maker.make(case.examples)})
    assert blocks[0] == blocks[1]
    assert blocks[0]


def test_with_the_same_contexts_a_suffix_graph_returns_the_same_bits(case: Case) -> None:
    if case.bundle.manifest.language_model.scope == "all":
        pytest.skip("no contexts")
    batches = list(open_feeder(MappedGraphs(case.bundle), case.examples).batches(range(len(case.examples)), 5))
    assert len(batches) > 1
    shared: dict[str, np.ndarray] = {
        "state": np.full(case.bundle.manifest.state.parameters, 1e-2, np.float32),
        "seed": np.array([SEED], np.int64),
        "epsilon": np.array([EPSILON], np.float32),
    }
    names = ["loss_plus", "loss_minus"]
    within = streamed(case.bundle, tokens_in_flight=10_000)
    found = list(within.open("probe").run(names, batches, shared))
    for (index, arrays), (place, expected) in zip(
        found, MappedGraphs(case.bundle, 1).open("probe").run(names, batches, shared), strict=True
    ):
        assert np.array_equal(index, place)
        assert same(arrays, expected)


def test_matrices_that_stay_and_reading_ahead_change_nothing(case: Case) -> None:
    plain = streamed(case.bundle, tokens_in_flight=100, tokens_per_context_call=64)
    expected = losses_of(plain, case.examples, 40)
    kept = case.bundle.plan.streamed[::2]
    other = streamed(
        case.bundle, tokens_in_flight=100, tokens_per_context_call=64, kept=kept, buffer_bytes=two_stages(case.bundle)
    )
    assert same(losses_of(other, case.examples, 40), expected)


def test_layers_share_their_stage_graphs(deep_bundle: Bundle) -> None:
    plan = deep_bundle.plan
    for name, stages in plan.graphs.items():
        graphs = [stage.graph for stage in stages]
        # All layers but the first two and the last are cut in the same way.
        assert max(map(graphs.count, graphs)) >= LAYERS - 3, name
    assert set(plan.files) == {path.name for path in deep_bundle.path.glob("*.stage*.onnx")}


def test_each_matrix_is_read_once_for_all_rows_in_flight(case: Case) -> None:
    if case.bundle.manifest.language_model.scope != "all":
        pytest.skip("the context graph reads, too")
    files = StageFiles.of(case.bundle)
    graphs = streamed(case.bundle, tokens_in_flight=10_000)
    weights = graphs._weights
    state = np.zeros(case.bundle.manifest.state.parameters, np.float32)
    feeder = open_feeder(graphs, case.examples)
    graph = graphs.open("eval")
    read = []
    for _ in range(3):
        before = weights.reading.bytes_read
        assert len(list(graph.run(["loss"], feeder.batches(range(11), 30), {"state": state}))) > 1
        read.append(weights.reading.bytes_read - before)
    bytes_streamed = sum(files.tensors[name].size_bytes for name in files.plan.streamed)
    pages = 8192 * len(files.plan.streamed)
    assert bytes_streamed <= read[1] <= bytes_streamed + pages
    # What stays is read the first time only.
    assert read[1] == read[2] <= read[0]
    graphs.open("eval")
    weights.close()


def test_a_run_that_is_left_early_leaves_no_thread_behind(case: Case) -> None:
    within = streamed(case.bundle, tokens_in_flight=1, tokens_per_context_call=64)
    state = np.zeros(case.bundle.manifest.state.parameters, np.float32)
    batches = open_feeder(within, case.examples).batches(range(11), 30)
    running = within.open("eval").run(["loss"], batches, {"state": state})
    next(running)
    assert isinstance(running, Generator)
    running.close()
    assert not [thread for thread in threading.enumerate() if thread.name == "seedtune-weights"]
