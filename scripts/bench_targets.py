"""python scripts/bench_targets.py [--seeds 12] [SET ...]: which target set a step of descent gains most from.

merit = E[g^2] / (2 E[h]), in nats a step, by forward passes alone: g = (L+ - L-)/(2 epsilon) is the projected gradient,
h = (L+ + L- - 2 L0)/epsilon^2 the curvature along the same direction. With +-1 noise E[g^2] is the squared norm of the
targets' gradient and E[h] the trace of their Hessian; the merit is what the best step length along a random
direction gains on average.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import bench_support
import demo_data
import numpy as np

from seedtune.runtime.data.batches import micro_batches
from seedtune.runtime.estimators.two_sided import TwoSided
from seedtune.runtime.evaluation import evaluate
from seedtune.runtime.run.prepare import load_split

SETS = ("query", "value", "output", "up", "down", "up,query", "all")
ROWS, EPSILON, RANK = 32, 2e-2, 4


def main() -> None:
    """Measures and reports."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sets", nargs="*", default=SETS, help="target specifications")
    parser.add_argument("--seeds", type=int, default=12, help="directions a set")
    options = parser.parse_args()
    data = demo_data.main(bench_support.OUTPUT / "data")
    rows, result = [], {}
    for spec in options.sets:
        merit, gradient, trace = measure(spec, data["train"], options.seeds)
        rows.append((spec, f"merit {merit:.4f}, E[g^2] {gradient:.3f}, E[h] {trace:.2f}", ""))
        result[spec] = {"merit_nats": merit, "squared_gradient": gradient, "hessian_trace": trace}
    bench_support.report(
        f"Merit of target sets, SmolLM2-135M, rank {RANK}, {ROWS} reviews, {options.seeds} directions",
        rows,
        result,
    )


def measure(spec: str, train: Path, seeds: int) -> tuple[float, float, float]:
    """Merit, mean squared projected gradient and mean curvature of a target set at the untouched model."""
    bundle = bench_support.bundle(RANK, spec)
    examples = load_split(train, bundle.compiled_task()).examples[:ROWS]
    padding = bundle.manifest.model.padding_id
    state = np.zeros(bundle.manifest.state.parameters, np.float32)
    middle = evaluate(bundle.session("eval"), state, examples, rows=512, padding_id=padding).loss
    estimator = TwoSided(bundle.session("probe"), EPSILON)
    batches = list(micro_batches(examples, 512, padding))
    estimates = [estimator.measure(state, seed, batches) for seed in range(1, seeds + 1)]
    gradient = float(np.mean([estimate.projected_gradient**2 for estimate in estimates]))
    trace = float(np.mean([2 * (estimate.loss - middle) / EPSILON**2 for estimate in estimates]))
    return gradient / (2 * trace), gradient, trace


if __name__ == "__main__":
    main()
