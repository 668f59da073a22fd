"""What tuning gained over its start, and ``held_out_losses.json``, from which that follows row by row."""

from __future__ import annotations

import msgspec

HELD_OUT_LOSSES_FILE = "held_out_losses.json"


class HeldOutLosses(msgspec.Struct, frozen=True, kw_only=True):
    """The loss of each held-out row, in their order: at the start of the run, and at its best state after a step.

    ``tuned_step`` is the step of ``tuned``; both are None before the first evaluation behind a step.
    ``start_predictions`` are the most probable labels at the start, where something else than the loss is lowered.
    """

    start: list[float | None]
    start_predictions: list[int] | None = None
    tuned: list[float | None] | None = None
    tuned_step: int | None = None


class Gain(msgspec.Struct, frozen=True, kw_only=True):
    """How much less the best state after a step loses than what it started from, ``over``: linear-probe or zero-shot.

    ``loss`` is the mean over the held-out rows, give or take ``half_width`` (paired, 95 %; None for too few rows). The
    state was chosen on the same rows, so that it flatters a little. ``is_gain`` is whether it is more than noise.
    """

    over: str
    loss: float
    half_width: float | None
    is_gain: bool


def describe_gain(gain: Gain) -> str:
    """Whether tuning was of use, in one line."""
    start = "the linear probe" if gain.over == "linear-probe" else "the untouched model"
    noise = "more rows are needed to tell" if gain.half_width is None else f"± {gain.half_width:.4f}, paired, 95 %"
    how = f"held-out loss {abs(gain.loss):.4f} {'lower' if gain.loss >= 0 else 'higher'} ({noise})"
    return f"gain over {start}: {how}" if gain.is_gain else f"no gain over {start}: {how}"
