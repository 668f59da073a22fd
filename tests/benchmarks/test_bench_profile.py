"""Profiles are read rightly: warm-up left out, nested graphs not counted twice, and rows as asked for."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from bench.profile import profile_of, profile_probe, random_examples
from seedtune.runtime.bundle.reader import Bundle
from seedtune.runtime.graphs.mapped import MappedGraphs
from seedtune.runtime.model.feeders import open_feeder


def run_event(start: int, duration: int) -> dict[str, Any]:
    return {"cat": "Session", "name": "model_run", "ts": start, "dur": duration}


def kernel(start: int, duration: int, operator: str) -> dict[str, Any]:
    name = f"node_{operator}_kernel_time"
    return {"cat": "Node", "name": name, "ts": start, "dur": duration, "args": {"op_name": operator}}


def test_shares_are_of_the_measured_probes_only() -> None:
    warm_up = [run_event(0, 9000), kernel(10, 8000, "Gemm")]
    first = [run_event(10_000, 1000), kernel(10_100, 600, "Gemm"), kernel(10_700, 100, "Add")]
    second = [run_event(20_000, 1000), kernel(20_100, 800, "Gemm"), kernel(20_900, 100, "Add")]
    found = profile_of([*second, *warm_up, *first], rounds=2, calls=1)
    assert found.probe_ms == 1.0
    assert found.operator_ms == {"Gemm": 0.7, "Add": 0.1}
    assert found.operator_nodes == {"Gemm": 1, "Add": 1}
    assert found.share({"Gemm", "MatMul"}) == pytest.approx(0.7)


def test_a_loop_counts_without_what_runs_inside_it() -> None:
    events = [
        run_event(0, 1000),
        kernel(0, 500, "Loop"),
        kernel(10, 200, "If"),
        kernel(20, 150, "Gemm"),
        kernel(210, 250, "Gemm"),
        kernel(500, 100, "Add"),
    ]
    found = profile_of(events, rounds=1, calls=1)
    assert found.operator_ms == pytest.approx({"Loop": 0.05, "If": 0.05, "Gemm": 0.4, "Add": 0.1})


@pytest.mark.parametrize(("scope", "computed"), [("all", 5 * 16), ("suffix", 5 * 4)])
def test_probes_of_both_scopes_are_profiled(bundle_of: Any, scope: str, computed: int) -> None:
    path: Path = bundle_of("causal", scope, "fp32")
    graphs = MappedGraphs(Bundle.open(path), 1)
    rows = random_examples(graphs.bundle.manifest, 5, 16, 4)
    batches = list(open_feeder(graphs, rows).batches(range(5), 5 * 16))
    assert sum(batch.work.computed for batch in batches) == computed
    found = profile_probe(graphs, batches, rounds=2)
    assert found.operator_nodes["Gemm"] >= 1
    assert 0 < found.share({"Gemm"}) < 1
    assert 0 < sum(found.operator_ms.values()) <= found.probe_ms
