"""python scripts/bench replay [--run RUN]: replay of 10,000 recorded steps, and its bits.

The steps are applied all at once from nothing, for the state of SmolLM2's default targets at every token, and for that
of OPT-1.3B's default reach: the last token in its top half, of which the shapes are enough. The first 1,000 are applied
one at a time as well, as a run does; both states must be bit-equal. With --run, the journal of a real run is replayed
as well and compared with the state_sha256 that the run ended with, and the share of its steps' time that went into its
journal is told.
"""

from __future__ import annotations

import json
import statistics
import tempfile
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import onnx_ir as ir

import seedtune
from lab import smollm2
from lab.report import command_line, report
from reference_checkpoint.architectures import ARCHITECTURES
from seedtune.exporter.graphs.update import build_update
from seedtune.exporter.passes.finish import finish
from seedtune.exporter.targets import lay_out, select
from seedtune.runtime.bundle.manifest import StateLayout
from seedtune.runtime.bundle.reader import Bundle
from seedtune.runtime.graphs.session import open_session
from seedtune.runtime.graphs.state import State
from seedtune.runtime.journal.file import read_journal
from seedtune.runtime.journal.format import probe_seed
from seedtune.runtime.telemetry.records import JOURNAL_FILE, RESULT_FILE, STEPS_FILE

WHAT = "replay of 10,000 recorded steps, and its bits"
BAR = {
    "time": "<= 5 s",
    "bit-equal": "True",
    "journal, share of a step's time": "<= 1 %",
}

STEPS, ONE_BY_ONE = 10_000, 1_000
# The defaults of `seedtune export` and of a classifier of two labels.
RANK, LABELS = 8, 2


def main() -> None:
    """Measures and reports."""
    parser = command_line(__file__, __doc__, BAR)
    parser.add_argument("--run", type=Path, help="a finished RUN folder")
    parser.add_argument("--opt-only", action="store_true", help="leave SmolLM2 out, which is exported if need be")
    arguments = parser.parse_args()
    rows: list[tuple[str, str, str]] = []
    result: dict[str, Any] = {"steps": STEPS}
    with tempfile.TemporaryDirectory() as folder:
        layout = reach_of_opt("opt-1.3b")
        graph = Path(folder) / "update.onnx"
        ir.save(finish(build_update(layout)), graph)
        states = [("OPT-1.3B, last token, top half", "opt", graph, layout.parameters)]
        if not arguments.opt_only:
            bundle = Bundle.open(smollm2.exported())
            parameters = bundle.manifest.state.parameters
            states.append(("SmolLM2, every token", "smollm2", bundle.graph_path("update"), parameters))
        for name, key, path, parameters in states:
            seconds, of_processor, equal = replay(path, parameters)
            measured = f"{seconds:.2f} s ({of_processor:.2f} s of one processor)"
            rows.append((f"{name}: {STEPS:,} steps, {parameters:,} parameters", measured, BAR["time"]))
            rows.append((f"{name}: bit-equal to step by step", str(equal), BAR["bit-equal"]))
            result[key] = {"parameters": parameters, "seconds": seconds, "bit_equal": equal}
            result[key]["processor_seconds"] = of_processor
    if arguments.run:
        replay_run(arguments.run, rows, result)
    report("Replay from the journal", rows, result)


def reach_of_opt(name: str) -> StateLayout:
    """The state of the default targets in the top half of an OPT: its shapes follow from the configuration alone."""
    config = ARCHITECTURES[name].config
    hidden, inner, layers = config["hidden_size"], config["ffn_dim"], config["num_hidden_layers"]
    shapes = {"q_proj": (hidden, hidden), "k_proj": (hidden, hidden), "v_proj": (hidden, hidden)}
    shapes = {f"self_attn.{each}": shape for each, shape in (shapes | {"out_proj": (hidden, hidden)}).items()}
    shapes |= {"fc1": (inner, hidden), "fc2": (hidden, inner)}
    linears: list[Any] = [
        SimpleNamespace(name=f"model.decoder.layers.{layer}.{each}", rows=(layer, each), out_features=o, in_features=i)
        for layer in range(layers // 2, layers)
        for each, (o, i) in shapes.items()
    ]
    return lay_out(select(linears, "default"), RANK, 0, LABELS, hidden)


def replay(graph: Path, parameters: int) -> tuple[float, float, bool]:
    """Seconds of STEPS steps in one go, those of the processor, and whether the first are the same bits one by one."""
    seeds = np.array([probe_seed(0, step) for step in range(STEPS)], np.uint32)
    coefficients = (2e-2 * np.random.default_rng(0).standard_normal(STEPS)).astype(np.float32)
    session = open_session(graph)
    one_by_one, at_once = State(session, parameters), State(session, parameters)
    for seed, coefficient in zip(seeds[:ONE_BY_ONE], coefficients, strict=False):
        one_by_one.apply([seed], [coefficient])
    at_once.apply(seeds[:ONE_BY_ONE], coefficients[:ONE_BY_ONE])
    replayed = State(session, parameters)
    start, of_processor = time.perf_counter(), time.process_time()
    replayed.apply(seeds, coefficients)
    seconds = time.perf_counter() - start, time.process_time() - of_processor
    return *seconds, one_by_one.sha256() == at_once.sha256()


def replay_run(run: Path, rows: list[tuple[str, str, str]], result: dict[str, Any]) -> None:
    """The same of a run's own journal, and the time that it took."""
    steps = read_journal(run / JOURNAL_FILE).steps
    ended = json.loads((run / RESULT_FILE).read_text())["state_sha256"]
    with seedtune.open(run, step=steps) as model:
        matches = model.state.sha256() == ended
    rows.append((f"{run}: {steps} steps, bit-equal to its end", str(matches), BAR["bit-equal"]))
    lines = [json.loads(line) for line in (run / STEPS_FILE).read_text().splitlines()]
    share = statistics.median(line["journal_ms"] / line["total_ms"] for line in lines)
    bar = "journal, share of a step's time"
    rows.append((f"{run}: {bar} (median)", f"{share:.2%}", BAR[bar]))
    result |= {"run_bit_equal": matches, "journal_share": share}


if __name__ == "__main__":
    main()
