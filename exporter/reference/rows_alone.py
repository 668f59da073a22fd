"""Whether what a bundle says of a row depends on the rows beside it.

Rows of one call are filled up to equal length, and a mask says what is filling. A model that mixes tokens without
looking at the mask (a Fourier transform, a convolution over places) answers differently for a row alone and among
longer ones; transformers does so as well, so a comparison of equal batches cannot see it. Such a bundle would give
other answers for another ``--rows-per-call``, and losses that jump with the rows a step happens to draw.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from seedtune.runtime.bundle.manifest import Manifest
from seedtune.runtime.errors import SeedTuneError
from seedtune.runtime.model.single_call import SingleCalls
from seedtune.runtime.task.example import Example

# What another order of sums, and codes that fall on the other side of a border for it, come to. A guess, with a wide
# margin over tiny models of Llama and BERT: 2e-6 in fp32, 3e-4 in int8 with contexts in int8.
ALLOWED = {"fp32": 1e-3, "fp16": 1e-3, "bf16": 1e-3, "int8": 5e-3, "int4": 1e-3}
ALLOWED_OF_CONTEXT = {None: 0.0, "fp32": 0.0, "fp16": 2e-3, "int8": 5e-3}


def refuse_dependent_rows(
    calls: SingleCalls, rows: Sequence[Example], output: str, state: np.ndarray, together: np.ndarray
) -> None:
    """Runs the eval graph for each of ``rows`` alone and compares with what it gave for all of them together.

    Args:
        calls: of a bundle that is not yet in place.
        rows: of different lengths.
        output: which output of the graph.
        state: [n] float32.
        together: that output for ``rows`` in one batch, in their order.

    Raises:
        SeedTuneError: they differ by more than rounding explains.
    """
    alone = np.concatenate(calls.output_of_each("eval", output, rows, {"state": state}))
    differences = np.abs(alone.astype(np.float64) - together)
    worst = float(differences.max()) if np.isfinite(differences).all() else float("inf")
    allowed = allowed_for(calls.bundle.manifest)
    if worst > allowed:
        raise SeedTuneError(
            "what this model says of a row depends on the rows beside it; no bundle was written",
            file=calls.bundle.manifest.language_model.model.architecture,
            value=f"a row alone and the same row among longer ones differ by {worst:.3g} nats",
            rule=f"at most {allowed:.3g}: filling behind a row must not reach it",
            remedy="choose another model",
        )


def allowed_for(manifest: Manifest) -> float:
    """The largest difference, in nats, that is put down to rounding."""
    context = manifest.language_model.context
    return ALLOWED[manifest.storage] + ALLOWED_OF_CONTEXT[context.storage if context else None]
