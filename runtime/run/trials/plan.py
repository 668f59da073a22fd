"""How many steps fit into what is left of a budget, and how often the held-out rows are evaluated meanwhile."""

from __future__ import annotations

import math
from dataclasses import dataclass

from seedtune.runtime.estimators.gradient import GradientSettings
from seedtune.runtime.run.settings import Settings

# Of what is left: a machine is not as fast all the time. A guess.
USED = 0.9
# Evaluations take no more than this part of the time, and are no more than so many. Guesses.
EVALUATION_SHARE, MOST_EVALUATIONS = 0.15, 20
# Gradients have fitted the rows after few passes, and a longer schedule only falls later: over 384 rows six passes beat
# two, and over 2,048 rows 300 steps of 16 came as low as 768 (docs/guides/accuracy.md).
FEWEST_PASSES, MOST_PASSES, GRADIENT_STEPS = 2, 6, 300


# The best rate of noisy steps falls with the root of their number (Ghadimi and Lan 2013, arXiv 1309.5549, corollary
# 3.3), so what was best in a short trial is too much for a long run. Gradients of so few passes are not that noisy.
DIGITS_OF_RATE = 2


@dataclass(frozen=True)
class Plan:
    """``steps`` of a run, ``eval_every`` of them between evaluations, and the ``seconds`` that all this takes."""

    steps: int
    eval_every: int
    seconds: float


def planned(
    left: float,
    step_seconds: float,
    evaluation_seconds: float,
    *,
    most_steps: int | None = None,
    eval_every: int | None = None,
) -> Plan:
    """The plan for ``left`` seconds; at least one step.

    Args:
        left: of the budget.
        step_seconds: of one step.
        evaluation_seconds: of one evaluation; 0 without held-out rows.
        most_steps: that the run may have; None for any number.
        eval_every: where it was given.
    """
    usable = USED * left
    ceiling = math.inf if most_steps is None else most_steps
    if eval_every is not None:
        steps = int(min(ceiling, max(1, usable // (step_seconds + evaluation_seconds / eval_every))))
        return _plan(steps, eval_every, step_seconds, evaluation_seconds)
    fitting = EVALUATION_SHARE * usable // evaluation_seconds if evaluation_seconds > 0 else math.inf
    evaluations = int(max(1, min(MOST_EVALUATIONS, fitting)))
    steps = int(min(ceiling, max(1, (usable - evaluations * evaluation_seconds) // step_seconds)))
    return _plan(steps, math.ceil(steps / evaluations), step_seconds, evaluation_seconds)


def most_steps(settings: Settings, rows: int, *, given: bool) -> int | None:
    """The ceiling of a run: the steps that were given, or for gradients a few passes over ``rows``; None for none."""
    if given:
        return settings.steps
    if not isinstance(settings.estimator, GradientSettings):
        return None
    fewest, most = (math.ceil(passes * rows / settings.batch_size) for passes in (FEWEST_PASSES, MOST_PASSES))
    return min(most, max(fewest, GRADIENT_STEPS))


def rate_of_run(settings: Settings, trial_steps: int) -> float:
    """The learning rate of a run whose trial of ``trial_steps`` steps was best at that of ``settings``."""
    rate = settings.optimizer.learning_rate
    if isinstance(settings.estimator, GradientSettings):
        return rate
    return float(f"{rate * math.sqrt(min(1.0, trial_steps / settings.steps)):.{DIGITS_OF_RATE}g}")


def _plan(steps: int, eval_every: int, step_seconds: float, evaluation_seconds: float) -> Plan:
    seconds = steps * step_seconds + math.ceil(steps / eval_every) * evaluation_seconds
    return Plan(steps, eval_every, seconds)
