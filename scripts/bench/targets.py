"""python scripts/bench targets [--seeds 12] [SET ...]: which target set a step of descent gains most from.

merit = E[g^2] / (2 E[h]), in nats a step, by forward passes alone: g = (L+ - L-)/(2 epsilon) is the projected gradient,
h = (L+ + L- - 2 L0)/epsilon^2 the curvature along the same direction. With +-1 noise E[g^2] is the squared norm of the
targets' gradient and E[h] the trace of their Hessian; the merit is what the best step length along a random
direction gains on average.
"""

from __future__ import annotations

from itertools import chain
from pathlib import Path

import numpy as np
import onnx_ir as ir

from lab import smollm2
from lab.report import command_line, report
from seedtune.exporter.checkpoint import Checkpoint, open_checkpoint
from seedtune.exporter.graphs.evaluate import build_eval
from seedtune.exporter.graphs.probe import build_probe
from seedtune.exporter.passes.finish import bind, finish, used_parameters
from seedtune.exporter.passes.linear_layout import normalise_linears
from seedtune.exporter.storage.weights import WeightsFile, write_weights
from seedtune.exporter.targets import lay_out, select
from seedtune.exporter.trace.traced import Traced
from seedtune.exporter.trace.trunk import trace
from seedtune.runtime.batches.token_rows import WholeRows
from seedtune.runtime.bundle.low_rank import lora_a_values
from seedtune.runtime.bundle.manifest import StateLayout
from seedtune.runtime.estimators.two_sided import TwoSided
from seedtune.runtime.graphs.mapped import MappedGraph
from seedtune.runtime.model.splits import load_split
from seedtune.runtime.task.compile import CompiledTask
from seedtune.runtime.task.definition import load_task
from seedtune.runtime.task.example import Example

WHAT = "which target set a step of descent gains most from"
BAR: dict[str, str] = {}

SETS = ("query", "value", "output", "up", "down", "up,query", "query,key,value,output,gate,up,down")
ROWS, EPSILON, RANK = 32, 2e-2, 4


def main() -> None:
    """Measures and reports."""
    parser = command_line(__file__, __doc__, BAR)
    parser.add_argument("sets", nargs="*", default=SETS, help="target specifications")
    parser.add_argument("--seeds", type=int, default=12, help="directions a set")
    options = parser.parse_args()
    checkpoint = open_checkpoint(smollm2.SOURCE)
    task = CompiledTask(
        load_task("sentiment").for_family(checkpoint.family),
        checkpoint.tokenizer,
        checkpoint.family,
        checkpoint.mask_token,
        checkpoint.unknown_token,
        checkpoint.max_positions,
        vocabulary_size=checkpoint.vocabulary_size,
    )
    examples = load_split(smollm2.data()["train"], task).examples[:ROWS]
    trunk = trace(checkpoint.skeleton(), checkpoint.family)
    linears = normalise_linears(trunk.clone().graph)
    rows, result = [], {}
    for spec in options.sets:
        layout = lay_out(select(linears, spec), RANK, 0)
        folder = graphs_for(trunk, layout, task.label_word_ids, checkpoint)
        merit, gradient, curvature = measure(folder, layout, examples, checkpoint.padding_id, options.seeds)
        rows.append((spec, f"merit {merit:.4f}, E[g^2] {gradient:.3f}, E[h] {curvature:.2f}", ""))
        result[spec] = {"merit_nats": merit, "squared_gradient": gradient, "hessian_trace": curvature}
    report(f"Merit of target sets, SmolLM2-135M, rank {RANK}, {ROWS} reviews, {options.seeds} directions", rows, result)


def graphs_for(trunk: ir.Model, layout: StateLayout, words: tuple[int, ...], checkpoint: Checkpoint) -> Path:
    """Probe and eval graphs of one target set, in a folder that the next set overwrites."""
    traced = Traced(trunk, checkpoint.family)
    graphs = {"probe": build_probe(traced, layout, words), "eval": build_eval(traced, layout, words)}
    needed: dict[str, tuple[ir.DataType, tuple[int, ...]]] = {}
    for graph in graphs.values():
        needed |= used_parameters(finish(graph))
    folder = smollm2.OUTPUT / "targets"
    folder.mkdir(parents=True, exist_ok=True)
    weights = WeightsFile(folder / "weights.safetensors", needed)
    write_weights([weights], chain(lora_a_values(layout).items(), checkpoint.tensors()))
    for name, graph in graphs.items():
        bind(graph, weights.external_tensors())
        ir.save(graph, folder / f"{name}.onnx")
    return folder


def measure(
    folder: Path, layout: StateLayout, examples: list[Example], padding_id: int, seeds: int
) -> tuple[float, float, float]:
    """Merit, mean squared projected gradient and mean curvature of a target set at the untouched model."""
    state = np.zeros(layout.parameters, np.float32)
    feeder = WholeRows(examples, padding_id)
    batches = list(feeder.batches(range(len(examples)), 512))
    parts = [losses for _, (losses,) in MappedGraph(folder / "eval.onnx").run(["loss"], batches, {"state": state})]
    middle = float(np.concatenate(parts).mean(dtype=np.float64))
    estimator = TwoSided(MappedGraph(folder / "probe.onnx"), EPSILON)
    estimates = [estimator.measure(state, [seed], batches) for seed in range(1, seeds + 1)]
    gradient = float(np.mean([estimate.projected_gradient**2 for estimate in estimates]))
    trace_of_hessian = float(np.mean([2 * (estimate.loss - middle) / EPSILON**2 for estimate in estimates]))
    return gradient / (2 * trace_of_hessian), gradient, trace_of_hessian


if __name__ == "__main__":
    main()
