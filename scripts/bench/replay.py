"""python scripts/bench replay [--run RUN]: replay of 10,000 recorded steps, and its bits.

The steps are applied one at a time, as a run does, and then all at once from nothing; both states must be bit-equal.
With --run, the journal of a real run is replayed as well and compared with the state_sha256 that the run ended with.
The state is that of SmolLM2's default targets.
"""

from __future__ import annotations

import json
import time
from pathlib import Path

import numpy as np

import seedtune
from lab import smollm2
from lab.report import command_line, report
from seedtune.runtime.bundle.reader import Bundle
from seedtune.runtime.graphs.session import open_session
from seedtune.runtime.graphs.state import State
from seedtune.runtime.journal.file import read_journal
from seedtune.runtime.journal.format import probe_seed
from seedtune.runtime.model.tuned import new_state
from seedtune.runtime.telemetry.records import JOURNAL_FILE, RESULT_FILE

WHAT = "replay of 10,000 recorded steps, and its bits"
BAR = {
    "time": "<= 5 s",
    "bit-equal": "True",
}

STEPS = 10_000


def main() -> None:
    """Measures and reports."""
    parser = command_line(__file__, __doc__, BAR)
    parser.add_argument("--run", type=Path, help="a finished RUN folder")
    run = parser.parse_args().run
    bundle = Bundle.open(smollm2.exported())
    parameters = bundle.manifest.state.parameters
    seeds = np.array([probe_seed(0, step) for step in range(STEPS)], np.uint32)
    coefficients = (2e-2 * np.random.default_rng(0).standard_normal(STEPS)).astype(np.float32)

    one_by_one = new_state(bundle)
    for seed, coefficient in zip(seeds, coefficients, strict=True):
        one_by_one.apply([seed], [coefficient])
    replayed = State(open_session(bundle.graph_path("update")), parameters)
    start = time.perf_counter()
    replayed.apply(seeds, coefficients)
    seconds = time.perf_counter() - start
    equal = one_by_one.sha256() == replayed.sha256()
    rows = [
        (f"replay of {STEPS:,} steps, {parameters:,} parameters", f"{seconds:.2f} s", BAR["time"]),
        ("bit-equal to the state made step by step", str(equal), BAR["bit-equal"]),
    ]
    result = {"steps": STEPS, "parameters": parameters, "seconds": seconds, "bit_equal": equal}
    if run:
        steps = read_journal(run / JOURNAL_FILE).steps
        ended = json.loads((run / RESULT_FILE).read_text())["state_sha256"]
        with seedtune.open(run, step=steps) as model:
            matches = model.state.sha256() == ended
        rows.append((f"{run}: {steps} steps, bit-equal to its end", str(matches), BAR["bit-equal"]))
        result["run_bit_equal"] = matches
    report("Replay from the journal", rows, result)


if __name__ == "__main__":
    main()
