"""From what was measured to what a run does: probes where they help, else gradients, else no step at all."""

from __future__ import annotations

import math
from collections.abc import Sequence

from seedtune.runtime.telemetry.gain import OBJECTIVE_WORDS
from seedtune.runtime.telemetry.trials import Trial

NOTHING = "none"


def best_trial(trials: Sequence[Trial]) -> Trial | None:
    """The one to go on as, of one method; None where all diverged. Of equals the first.

    Of those that help by more than noise, that of the largest gain. If none does, the largest is mostly noise, for it
    is that of the boldest rate: then of those that gained at all, the one whose interval reaches least below zero.
    """
    finite = [trial for trial in trials if trial.gain is not None]
    if sure := [trial for trial in finite if helps(trial)]:
        return max(sure, key=_gain)
    if gained := [trial for trial in finite if _gain(trial) > 0]:
        return max(gained, key=lambda trial: (_gain(trial) - _half_width(trial), _gain(trial)))
    return max(finite, key=_gain) if finite else None


def helps(trial: Trial | None) -> bool:
    """Whether what the run lowers fell on held-out rows by more than noise."""
    return trial is not None and _gain(trial) - _half_width(trial) > 0


def may_help(trial: Trial | None) -> bool:
    """Whether more steps of a trial can be hoped to help: it did not lose by more than noise."""
    return trial is not None and _gain(trial) + _half_width(trial) > 0


def surpasses(trial: Trial | None, other: Trial) -> bool:
    """Whether all of the interval of ``trial`` lies above what ``other`` gained."""
    return trial is not None and _gain(trial) - _half_width(trial) > _gain(other)


def decide(groups: Sequence[Sequence[Trial]], *, pinned: bool) -> tuple[Trial | None, str]:
    """The trial to go on as, None for no step at all, and why in one line.

    In this order: (1) the first method, if it helps by more than noise and the last one does not surpass it; (2) the
    last one, if it helps, or if it stands beside another and may help with more steps than a trial has: it is there
    because it learns where the first does not, and held-out rows judge its states (docs/log/2026-11-28.md, "What a
    budget chooses"); (3) the method that gained at all; (4) with ``pinned`` the best of the only method; (5) nothing.

    Args:
        groups: the trials of each method, the preferred one first; none is empty.
        pinned: whether the user named the method.
    """
    found = [(group[0].method, best_trial(group)) for group in groups]
    told = [f"{_measured(best)} ({method})" for method, best in found]
    (first, best), (last, other) = found[0], found[-1]
    if best is not None and helps(best) and not surpasses(other, best):
        return best, f"{first} is chosen: {'; '.join(told)}"
    if other is not None and helps(other):
        return other, f"{last} is chosen: {'; '.join(reversed(told))}"
    if other is not None and len(found) > 1 and may_help(other):
        return other, f"{last} is chosen, though no trial gained more than noise: {'; '.join(reversed(told))}"
    if best is not None and _gain(best) > 0:
        return best, f"{first} is chosen, though no trial gained more than noise: {'; '.join(told)}"
    if pinned:
        chosen = best or min(groups[0], key=lambda trial: trial.learning_rate)
        return chosen, f"{first} as given, though its trials gained nothing: {told[0]}"
    return None, f"no step is worth making, the start is kept: {'; '.join(told)}"


def _measured(best: Trial | None) -> str:
    if best is None:
        return "each trial diverged"
    words = OBJECTIVE_WORDS[best.objective]
    start = best.loss_start if best.objective_start is None else best.objective_start
    change = f"{_gain(best):+.4f} ± {_half_width(best):.4f}"
    return (
        f"trials gained {change} of a held-out {words} of {_number(start)}, {best.steps} steps at "
        f"{best.learning_rate:g} in {best.seconds:.1f} s"
    )


def _gain(trial: Trial) -> float:
    return -math.inf if trial.gain is None else trial.gain


def _half_width(trial: Trial) -> float:
    return math.inf if trial.gain_half_width is None else trial.gain_half_width


def _number(loss: float | None) -> str:
    return "?" if loss is None else f"{loss:.4f}"
