"""python scripts/bench context [--rounds 7]: the context of a row beside a plain forward.

- making the contexts of 64 reviews (last token, ten upper layers) against one evaluation of the same rows by the
  untouched model (scope all at state zero), one thread, sessions open and warm, in turns: the median of the ratios of
  pairs, and processor time beside it, which other work on the machine disturbs less;
- what a phone must hold of a bundle with `--context-on-host`, and what a row's context takes, by the layers in reach.
"""

from __future__ import annotations

import statistics
import time
from dataclasses import dataclass

import numpy as np

from lab import smollm2
from lab.report import command_line, report
from seedtune.runtime.bundle.manifest import Storage
from seedtune.runtime.bundle.reader import Bundle
from seedtune.runtime.context.maker import TOKENS_PER_CALL, ContextMaker, context_places
from seedtune.runtime.generators import result_of
from seedtune.runtime.graphs.mapped import MappedGraphs
from seedtune.runtime.model.evaluation import evaluating
from seedtune.runtime.model.feeders import open_feeder

WHAT = "the context of a row beside a plain forward"
BAR = {
    "context / plain forward": "<= 1.1",
}
ROWS = 64
LAYERS_TIMED = 10
# Of thirty: all of them leave nothing to the desk.
LAYERS = (30, 20, 10, 5)
STORAGE: Storage = "fp16"


@dataclass(frozen=True)
class Taken:
    """Seconds by the clock, and of the processor."""

    wall: float
    processor: float


def main() -> None:
    """Measures and reports."""
    parser = command_line(__file__, __doc__, BAR)
    parser.add_argument("--rounds", type=int, default=7, help="pairs of a forward and a making of contexts")
    options = parser.parse_args()
    forwards, contexts = timed(options.rounds)
    wall = statistics.median(b.wall / a.wall for a, b in zip(forwards, contexts, strict=True))
    processor = statistics.median(b.processor / a.processor for a, b in zip(forwards, contexts, strict=True))
    sizes = {layers: held(layers) for layers in LAYERS}
    seconds = {
        name: statistics.median(taken.wall for taken in times)
        for name, times in (("forward", forwards), ("contexts", contexts))
    }
    report(
        f"Contexts: SmolLM2-135M, {ROWS} reviews, one thread, {options.rounds} pairs",
        [
            ("one plain forward", f"{seconds['forward'] / ROWS * 1e3:.1f} ms a row", ""),
            (f"contexts of {LAYERS_TIMED} layers", f"{seconds['contexts'] / ROWS * 1e3:.1f} ms a row", ""),
            ("ratio, median of pairs", f"{wall:.3f}", BAR["context / plain forward"]),
            ("the same of processor time", f"{processor:.3f}", ""),
            *(
                (f"a phone holds, {STORAGE}, last token in {layers} layers", said(of_layers), "")
                for layers, of_layers in sizes.items()
            ),
        ],
        {
            "rows": ROWS,
            "forward_seconds": seconds["forward"],
            "context_seconds": seconds["contexts"],
            "ratio": wall,
            "processor_ratio": processor,
            "held": sizes,
        },
    )


def timed(rounds: int) -> tuple[list[Taken], list[Taken]]:
    """What a plain forward of all rows takes, and what their contexts take, in turns; the first turn warms up."""
    whole = MappedGraphs(Bundle.open(smollm2.exported()), threads=1)
    reach = MappedGraphs(Bundle.open(smollm2.exported(scope="last", layers=LAYERS_TIMED)), threads=1)
    feeder = open_feeder(whole, smollm2.reviews(whole.bundle)[:ROWS])
    examples = smollm2.reviews(reach.bundle)[:ROWS]
    evaluation, maker = whole.open("eval"), ContextMaker(reach.open("context"), reach.bundle.manifest)
    state = np.zeros(whole.bundle.manifest.state.parameters, np.float32)
    forwards, contexts = [], []
    for turn in range(rounds + 1):
        started = clocks()
        found = result_of(evaluating(whole, state, feeder, rows=TOKENS_PER_CALL, graph=evaluation))
        assert len(found.losses) == ROWS
        between = clocks()
        assert sum(1 for _block in maker.make(examples)) == ROWS
        ended = clocks()
        if turn:
            forwards.append(since(started, between))
            contexts.append(since(between, ended))
    return forwards, contexts


def clocks() -> Taken:
    """Both clocks now."""
    return Taken(time.perf_counter(), time.process_time())


def since(before: Taken, after: Taken) -> Taken:
    """What passed in between."""
    return Taken(after.wall - before.wall, after.processor - before.processor)


def held(layers: int) -> dict[str, float]:
    """Bytes that a phone must hold, bytes for the desk only, and bytes of the context of a row of the reviews."""
    on_host = layers < max(LAYERS)
    bundle = Bundle.open(
        smollm2.exported(scope="last", layers=layers, storage=STORAGE, context_on_host=on_host), verify_weights=False
    )
    layout = bundle.manifest.language_model.context
    assert layout is not None
    rows = smollm2.reviews(bundle)[:ROWS]
    row_bytes = [layout.bytes_of(len(context_places(row)), 1) for row in rows]
    return {
        "phone_bytes": bundle.manifest.phone_bytes,
        "host_bytes": bundle.manifest.host_bytes,
        "context_bytes_per_row": statistics.fmean(row_bytes),
    }


def said(sizes: dict[str, float]) -> str:
    """``sizes`` in a cell."""
    phone, host, row = (sizes[name] for name in ("phone_bytes", "host_bytes", "context_bytes_per_row"))
    return f"{phone / 1e6:.0f} MB, the desk {host / 1e6:.0f} MB more; context of a row {row / 1e3:.0f} kB"


if __name__ == "__main__":
    main()
