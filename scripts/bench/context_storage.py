"""python scripts/bench context_storage [--seeds 64] [--rows 32]: what fewer bits for cached keys and values do.

For fp32, fp16 and int8: bytes a token; log-probabilities of the untouched model against fp32 storage; projected
gradients against fp32 storage (correlation over seeds, at the default epsilon); accuracy on the validation rows.
A storage is fit to be the default when it meets the bar.
"""

from __future__ import annotations

import numpy as np

import seedtune
from lab import smollm2
from lab.report import command_line, report
from seedtune.runtime.bundle.objective import ContextStorage
from seedtune.runtime.estimators.two_sided import TwoSidedSettings
from seedtune.runtime.graphs.mapped import MappedGraphs
from seedtune.runtime.model.feeders import open_feeder

WHAT = "what fewer bits for cached keys and values do"
BAR = {
    "correlation with projected gradients of fp32": ">= 0.999",
}

STORAGES: tuple[ContextStorage, ...] = ("fp32", "fp16", "int8")
TOKENS_PER_CALL = 512


def main() -> None:
    """Measures and reports."""
    parser = command_line(__file__, __doc__, BAR)
    parser.add_argument("--seeds", type=int, default=64, help="directions to measure")
    parser.add_argument("--rows", type=int, default=32, help="examples a probe")
    options = parser.parse_args()
    found = {storage: measure(storage, options.seeds, options.rows) for storage in STORAGES}
    exact = found["fp32"]
    rows: list[tuple[str, str, str]] = []
    result: dict[str, dict[str, float]] = {}
    for storage, (token_bytes, log_probabilities, gradients, accuracy) in found.items():
        error = float(np.abs(log_probabilities - exact[1]).max())
        correlation = float(np.corrcoef(gradients, exact[2])[0, 1])
        about = f"{token_bytes:,} bytes a token, log-probabilities within {error:.1e}, accuracy {accuracy:.1%}"
        bar = BAR["correlation with projected gradients of fp32"]
        rows.append((f"{storage}: {about}; correlation", f"{correlation:.6f}", bar))
        result[storage] = {
            "bytes_per_token": token_bytes,
            "log_probability_error": error,
            "correlation": correlation,
            "accuracy": accuracy,
        }
    title = f"Storage of contexts: SmolLM2-135M, {options.seeds} directions, {options.rows} reviews a probe"
    report(title, rows, result)


def measure(storage: ContextStorage, seeds: int, count: int) -> tuple[int, np.ndarray, np.ndarray, float]:
    """Bytes a token, log-probabilities of the validation rows, projected gradients, accuracy of the validation rows."""
    with seedtune.open(smollm2.exported(scope="suffix", context_storage=storage)) as model:
        bundle, state = model.bundle, model.state.values
        result = model.evaluate(smollm2.data()["validation"], rows_per_call=TOKENS_PER_CALL)
    graphs = MappedGraphs(bundle)
    feeder = open_feeder(graphs, smollm2.reviews(bundle)[:count])
    batches = list(feeder.batches(range(count), TOKENS_PER_CALL))
    estimator = TwoSidedSettings().build(graphs)
    gradients = [estimator.measure(state, [seed], batches).projected_gradient.item() for seed in range(seeds)]
    layout = bundle.manifest.language_model.context
    assert layout is not None
    assert result.probabilities is not None
    return layout.bytes_per_token, np.log(result.probabilities), np.array(gradients), result.accuracy


if __name__ == "__main__":
    main()
