"""python scripts/bench profile [BUNDLE] [--rows 8] [--tokens 64] [--rounds 3]: where the time of a probe goes.

ONNX Runtime's own profile of the probe graph, under SeedTune's session settings, by operator, and the share of the
probe's time inside matrix-product kernels. Rows are random and full; of a bundle with scope "suffix" the last
--suffix-tokens tokens are computed and the contexts are made beforehand. Without a BUNDLE: SmolLM2-135M, scope all.
The bar is that of 1,024 token rows (8 rows of 64 tokens, both sides).
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import onnxruntime

from lab import smollm2
from lab.report import command_line, report
from seedtune.runtime.batches.types import Batch
from seedtune.runtime.bundle.manifest import Manifest
from seedtune.runtime.bundle.reader import Bundle
from seedtune.runtime.estimators.two_sided import TwoSided, TwoSidedSettings
from seedtune.runtime.graphs.mapped import MappedGraphs
from seedtune.runtime.model.feeders import open_feeder
from seedtune.runtime.task.example import Example

WHAT = "where the time of a probe goes"
BAR = {
    "inside matrix products": ">= 80 %",
}

PRODUCTS = {
    "Gemm", "MatMul", "FusedMatMul", "FusedGemm", "MatMulInteger", "MatMulIntegerToFloat", "DynamicQuantizeMatMul",
    "MatMulNBits", "QGemm", "QLinearMatMul",
}  # fmt: skip
# Two products with a softmax between them, in one kernel.
ATTENTION = {"Attention", "QAttention", "MultiHeadAttention", "GroupQueryAttention"}
SHOWN_SHARE = 0.005


@dataclass(frozen=True)
class Profile:
    """Time of one probe, the mean of several.

    Attributes:
        probe_ms: whole calls of the session.
        operator_ms: operator -> time inside its kernels.
        operator_nodes: operator -> how many of its nodes ran.
    """

    probe_ms: float
    operator_ms: dict[str, float]
    operator_nodes: dict[str, float]

    def share(self, operators: set[str]) -> float:
        """Part of the whole calls that lies inside ``operators``."""
        return sum(self.operator_ms.get(name, 0.0) for name in operators) / self.probe_ms


def main() -> None:
    """Measures and reports."""
    parser = command_line(__file__, __doc__, BAR)
    parser.add_argument("bundle", nargs="?", type=Path, metavar="BUNDLE")
    parser.add_argument("--rows", type=int, default=8, help="examples of the probe")
    parser.add_argument("--tokens", type=int, default=64, help="of each example")
    parser.add_argument("--suffix-tokens", type=int, default=4, help="of each example, with scope suffix")
    parser.add_argument("--rounds", type=int, default=3, help="probes to take the mean of")
    parser.add_argument("--threads", type=int, help="of ONNX Runtime; all processors if not given")
    options = parser.parse_args()
    bundle = Bundle.open(options.bundle or smollm2.exported(), verify_weights=False)
    rows = random_examples(bundle.manifest, options.rows, options.tokens, options.suffix_tokens)
    graphs = MappedGraphs(bundle, options.threads)
    feeder = open_feeder(graphs, rows)
    batches = list(feeder.batches(range(len(rows)), options.rows * options.tokens))
    token_rows = 2 * sum(batch.work.computed for batch in batches)
    found = profile_probe(graphs, batches, options.rounds)
    products, attention = found.share(PRODUCTS), found.share(ATTENTION)
    outside = 1 - sum(found.operator_ms.values()) / found.probe_ms
    largest = sorted(found.operator_ms, key=lambda name: -found.operator_ms[name])
    shown = [name for name in largest if found.operator_ms[name] >= SHOWN_SHARE * found.probe_ms]
    others = sum(found.operator_ms[name] for name in largest if name not in shown)

    def timed(milliseconds: float) -> str:
        return f"{milliseconds:.1f} ms  {milliseconds / found.probe_ms:.1%}"

    report(
        f"Probe of {bundle.path}, scope {bundle.manifest.language_model.scope}, {len(rows)} rows of {options.tokens} "
        f"tokens ({token_rows:,} token rows in {len(batches)} calls)",
        [
            *((f"{name} ({found.operator_nodes[name]:g} nodes)", timed(found.operator_ms[name]), "") for name in shown),
            (f"{len(largest) - len(shown)} other operators", timed(others), ""),
            ("outside kernels", timed(outside * found.probe_ms), ""),
            ("a probe", f"{found.probe_ms:.1f} ms", ""),
            ("inside matrix products", f"{products:.1%}", "" if attention else BAR["inside matrix products"]),
            *(
                [("with fused attention", f"{products + attention:.1%}", BAR["inside matrix products"])]
                if attention
                else []
            ),
        ],
        {
            "bundle": str(bundle.path),
            "scope": bundle.manifest.language_model.scope,
            "storage": bundle.manifest.storage,
            "token_rows": token_rows,
            "calls": len(batches),
            "probe_ms": found.probe_ms,
            "product_share": products,
            "attention_share": attention,
            "outside_kernels_share": outside,
            "operator_ms": {name: found.operator_ms[name] for name in largest},
            "operator_nodes": {name: found.operator_nodes[name] for name in largest},
        },
    )


def random_examples(manifest: Manifest, rows: int, tokens: int, suffix_tokens: int) -> list[Example]:
    """``rows`` examples of exactly ``tokens`` random tokens, split where the bundle splits rows."""
    generator = np.random.default_rng(0)
    reached = {"all": 0, "suffix": suffix_tokens, "last": 1}[manifest.language_model.scope]
    places = np.arange(max(0, tokens - reached), tokens) if reached else None
    examples = []
    for _ in range(rows):
        ids = generator.integers(0, manifest.language_model.model.vocabulary_size, tokens)
        if manifest.language_model.label_word_ids:
            label = int(generator.integers(0, len(manifest.language_model.label_word_ids)))
            examples.append(Example(ids, tokens - 1, label, places))
        else:
            assert places is not None
            targets = generator.integers(0, manifest.language_model.model.vocabulary_size, len(places))
            examples.append(Example(ids, tokens - 1, 0, places, targets))
    return examples


def profile_probe(graphs: MappedGraphs, batches: Sequence[Batch], rounds: int) -> Profile:
    """Probes ``batches`` once to warm up, then ``rounds`` times."""
    with tempfile.TemporaryDirectory() as folder:
        plain = onnxruntime.SessionOptions

        def profiling() -> onnxruntime.SessionOptions:
            options = plain()
            options.enable_profiling = True
            options.profile_file_prefix = str(Path(folder) / "profile")
            return options

        # Settings are made where sessions are opened (runtime/graphs/session.py): whatever they are, they apply here.
        with mock.patch.object(onnxruntime, "SessionOptions", profiling):
            graph = graphs.open("probe")
        estimator = TwoSided(graph, TwoSidedSettings().epsilon)
        state = np.zeros(graphs.bundle.manifest.state.parameters, np.float32)
        for number in range(rounds + 1):
            estimator.measure(state, [number], batches)
        events = json.loads(Path(graph.session.end_profiling()).read_text())
    return profile_of(events, rounds, len(batches))


def profile_of(events: Sequence[dict[str, Any]], rounds: int, calls: int) -> Profile:
    """The last ``rounds`` probes of ``calls`` calls each, from the events of a profile.

    A node with a graph inside (Loop, If) counts without the nodes of that graph, which are there themselves.
    """
    runs = sorted((event for event in events if event["name"] == "model_run"), key=lambda event: event["ts"])
    runs = runs[-rounds * calls :]
    kernels = [
        event
        for event in events
        if event.get("cat") == "Node" and event["name"].endswith("_kernel_time") and event["ts"] >= runs[0]["ts"]
    ]
    kernels.sort(key=lambda event: (event["ts"], -event["dur"]))
    operator_us: dict[str, float] = {}
    nodes: dict[str, float] = {}
    around: list[dict[str, Any]] = []
    for event in kernels:
        name = event["args"]["op_name"]
        operator_us[name] = operator_us.get(name, 0.0) + event["dur"]
        nodes[name] = nodes.get(name, 0.0) + 1 / rounds
        while around and event["ts"] + event["dur"] > around[-1]["ts"] + around[-1]["dur"]:
            around.pop()
        if around:
            operator_us[around[-1]["args"]["op_name"]] -= event["dur"]
        around.append(event)
    return Profile(
        sum(event["dur"] for event in runs) / rounds / 1e3,
        {name: total / rounds / 1e3 for name, total in operator_us.items()},
        nodes,
    )


if __name__ == "__main__":
    main()
