"""python scripts/bench_probe.py [--rounds 7]: time of a probe against what else could be run instead.

 - two plain forward passes of the same rows in ONNX Runtime: the traced model in the same layout, without any target,
   noise or second side, under the same settings, interleaved with the probe in this one process;
 - a plain PyTorch MeZO step: perturb all weights, forward, perturb, forward, restore, update.
Bars: at most 1.15 times the former, at most half of the latter.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable

import bench_support
import numpy as np
import onnx_ir as ir
import torch

from seedtune.exporter.checkpoint import Checkpoint, open_checkpoint
from seedtune.exporter.passes.emitter import set_outputs
from seedtune.exporter.passes.finish import bind, finish, used_parameters
from seedtune.exporter.passes.label_rows import keep_label_rows
from seedtune.exporter.passes.linear_layout import normalise_linears
from seedtune.exporter.trunk import trace
from seedtune.exporter.weights import WeightsFile
from seedtune.runtime.session import default_threads, open_session

BATCH, TOKENS = 16, 32
MEZO_ROUNDS = 3


def main() -> None:
    """Measures and reports."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=7, help="interleaved repetitions")
    rounds = parser.parse_args().rounds

    bundle = bench_support.bundle()
    rows = bench_support.random_rows(bundle, BATCH, TOKENS)
    checkpoint = open_checkpoint(bench_support.SOURCE)
    plain = plain_forward(checkpoint, bundle.manifest.label_word_ids)
    probe = bundle.session("probe")
    feeds = rows | {
        "state": np.zeros(bundle.manifest.state.parameters, np.float32),
        "seed": np.array([1], np.uint32),
        "epsilon": np.array([1e-2], np.float32),
    }
    without_label = {name: value for name, value in rows.items() if name != "label"}

    def two_forwards() -> None:
        plain.run(None, without_label)
        plain.run(None, without_label)

    probe_ms, forwards_ms = interleaved(lambda: probe.run(None, feeds), two_forwards, rounds)
    ratio = statistics.median(a / b for a, b in zip(probe_ms, forwards_ms, strict=True))
    mezo_ms, probe_beside_ms = interleaved(mezo_step(checkpoint, rows), lambda: probe.run(None, feeds), MEZO_ROUNDS)
    speedup = statistics.median(mezo_ms) / statistics.median(probe_beside_ms)
    bench_support.report(
        f"Probe of SmolLM2-135M, {BATCH} rows of {TOKENS} tokens, both sides ({2 * BATCH * TOKENS:,} token rows)",
        [
            ("probe", f"{statistics.median(probe_ms):.0f} ms", ""),
            ("two plain forward passes", f"{statistics.median(forwards_ms):.0f} ms", ""),
            ("ratio, median of pairs", f"{ratio:.3f}", "<= 1.15"),
            ("PyTorch MeZO step, all weights", f"{statistics.median(mezo_ms):.0f} ms", ""),
            ("MeZO step / probe", f"{speedup:.2f}", ">= 2"),
        ],
        {
            "probe_ms_median": statistics.median(probe_ms),
            "two_forwards_ms_median": statistics.median(forwards_ms),
            "ratio_median": ratio,
            "mezo_step_ms_median": statistics.median(mezo_ms),
            "mezo_speedup": speedup,
        },
    )


def interleaved(
    first: Callable[[], object], second: Callable[[], object], rounds: int
) -> tuple[list[float], list[float]]:
    """Milliseconds of both, in turns, after one warm-up each."""
    first()
    second()
    times: tuple[list[float], list[float]] = ([], [])
    for _ in range(rounds):
        for call, taken in zip((first, second), times, strict=True):
            start = time.perf_counter()
            call()
            taken.append((time.perf_counter() - start) * 1e3)
    return times


def plain_forward(checkpoint: Checkpoint, words: tuple[int, ...]):  # type: ignore[no-untyped-def]
    """A session over the model as traced, with label-word rows only and nothing else changed."""
    model = trace(checkpoint.skeleton(), checkpoint.family)
    linears = normalise_linears(model.graph)
    scores = keep_label_rows(model.graph, linears, words)
    set_outputs(model.graph, {"scores": (scores, ir.DataType.FLOAT, ["batch", len(words)])})
    folder = bench_support.OUTPUT / "plain"
    folder.mkdir(parents=True, exist_ok=True)
    weights = WeightsFile(folder / "weights.safetensors", used_parameters(finish(model)))
    weights.write(checkpoint.tensors())
    bind(model, weights.external_tensors())
    ir.save(model, folder / "plain.onnx")
    return open_session(folder / "plain.onnx")


def mezo_step(checkpoint: Checkpoint, rows: dict[str, np.ndarray]) -> Callable[[], None]:
    """One MeZO step (Malladi et al. 2023, algorithm 1) on all weights, as plain PyTorch code does it."""
    torch.set_num_threads(default_threads())
    model = checkpoint.reference()
    parameters = list(model.parameters())
    ids, mask = torch.from_numpy(rows["ids"]), torch.from_numpy(rows["mask"])
    label = torch.from_numpy(rows["label"])

    def move(scale: float) -> None:
        generator = torch.Generator().manual_seed(1)
        for parameter in parameters:
            parameter.add_(torch.randn(parameter.shape, generator=generator), alpha=scale)

    def loss() -> float:
        scores = model(input_ids=ids, attention_mask=mask, logits_to_keep=1).logits[:, -1, :2]
        return float(torch.nn.functional.cross_entropy(scores, label))

    def step() -> None:
        with torch.no_grad():
            move(1e-3)
            plus = loss()
            move(-2e-3)
            minus = loss()
            move(1e-3)
            move(-1e-7 * (plus - minus) / 2e-3)

    return step


if __name__ == "__main__":
    main()
