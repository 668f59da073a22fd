"""Whether the gradient graph tells the slope of the losses that the probe graph computes.

For a state x, its gradient g and directions Z of +1 and -1::

    g Z ~ (sum of losses at x + epsilon Z - sum of losses at x - epsilon Z) / (2 epsilon)

A random Z sees an error wherever in the state it is: E[(d Z)^2] = |d|^2 for an error d of the gradient. So the root
mean square of what is left over, over a few directions, estimates |d|; it is compared with |g| over the targets, since
the gradient of a head (`passes/label_head.py`) is much longer than theirs and would hide an error in them.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from seedtune.runtime.errors import SeedTuneError
from seedtune.runtime.model.single_call import SingleCalls
from seedtune.runtime.noise import rademacher
from seedtune.runtime.task.example import Example

SEEDS = range(1, 5)
# Small, so that the losses are straight between both sides; their rounding is then still a thousandth of the distance.
EPSILON = 1e-3
# Of |g| over the targets. With a wide margin over tiny models (1e-4 in fp32, 1e-2 in int8) and SmolLM2 (7e-3).
ALLOWED = 0.25


def gradient_error(calls: SingleCalls, rows: Sequence[Example], state: np.ndarray) -> float:
    """About |d| / |g|; infinite where something is not finite.

    Args:
        calls: of a bundle with a gradient graph.
        rows: a few.
        state: [n] float32.
    """
    batch = calls.batch(rows, len(rows) * max(len(row.ids) for row in rows))
    (gradient,) = calls.outputs("gradient", ["gradient"], batch, {"state": state})
    wide = gradient.astype(np.float64)
    left = []
    for seed in SEEDS:
        shared = {"state": state, "epsilon": np.array([EPSILON], np.float32)}
        step: dict[str, np.ndarray] = {**shared, "seed": np.array([seed], np.int64)}
        plus, minus = calls.outputs("probe", ["loss_plus", "loss_minus"], batch, step)
        slope = (plus.astype(np.float64) - minus.astype(np.float64)).sum() / (2 * EPSILON)
        left.append(slope - wide @ rademacher(seed, len(state)).astype(np.float64))
    head = calls.bundle.manifest.state.head
    length = float(np.linalg.norm(wide if head is None else wide[: head.offset]))
    error = float(np.sqrt(np.mean(np.square(left)))) / length if length else float("inf")
    return error if np.isfinite(error) else float("inf")


def refuse_wrong_gradient(calls: SingleCalls, rows: Sequence[Example], state: np.ndarray) -> None:
    """Raises SeedTuneError where the gradient is not the slope of the losses; arguments of :func:`gradient_error`."""
    error = gradient_error(calls, rows, state)
    if error > ALLOWED:
        raise SeedTuneError(
            "the gradient graph does not tell the slope of the loss; no bundle was written",
            file=calls.bundle.manifest.language_model.model.architecture,
            value=f"finite differences of the probe are {error:.3g} of its length over the targets away",
            rule=f"at most {ALLOWED}",
            remedy="report the model's name and this message",
        )
