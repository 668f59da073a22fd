"""What tuning gained over its start, and ``held_out_losses.json``, from which that follows row by row."""

from __future__ import annotations

import msgspec

HELD_OUT_LOSSES_FILE = "held_out_losses.json"
# What a run lowers, in words.
OBJECTIVE_WORDS = {"loss": "loss", "accuracy": "1 - accuracy", "f1": "1 - F1"}


class HeldOutLosses(msgspec.Struct, frozen=True, kw_only=True):
    """The loss of each held-out row, in their order: at the start of the run, and at its best state after a step.

    ``tuned_step`` is the step of ``tuned``; both are None before the first evaluation behind a step. Where something
    else than the loss is lowered, ``start_predictions`` are the most probable labels at the start, and
    ``objective_gain`` is how much lower it is at ``tuned_step``, with the half of its interval.
    """

    start: list[float | None]
    start_predictions: list[int] | None = None
    tuned: list[float | None] | None = None
    tuned_step: int | None = None
    objective_gain: float | None = None
    objective_half_width: float | None = None


class Gain(msgspec.Struct, frozen=True, kw_only=True):
    """How much less the best state after a step loses than what it started from, ``over``: linear-probe or zero-shot.

    ``loss`` is the mean over the held-out rows. A run that lowers another ``objective`` than the loss has by
    ``objective_gain`` how much lower that is. ``half_width`` is of what the run lowers (paired, 95 %; None for too few
    rows), and so is ``is_gain``: whether it is more than noise. The state was chosen on the same rows, so that it
    flatters a little.
    """

    over: str
    loss: float
    half_width: float | None
    is_gain: bool
    objective: str = "loss"
    objective_gain: float | None = None


def describe_gain(gain: Gain) -> str:
    """Whether tuning was of use, in one line."""
    start = "the linear probe" if gain.over == "linear-probe" else "the untouched model"
    noise = "more rows are needed to tell" if gain.half_width is None else f"± {gain.half_width:.4f}, paired, 95 %"
    what, value = OBJECTIVE_WORDS[gain.objective], gain.loss if gain.objective_gain is None else gain.objective_gain
    how = f"held-out {what} {abs(value):.4f} {'lower' if value >= 0 else 'higher'} ({noise})"
    return f"gain over {start}: {how}" if gain.is_gain else f"no gain over {start}: {how}"
