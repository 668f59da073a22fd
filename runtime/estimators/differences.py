"""The step that per-example differences of scores imply: logistic regression on scores that are linear in the step.

    scores_i(c) = base_i + sum_k c_k slopes_ik,    minimise  sum_i NLL_i + penalty / 2 |c|^2

That is one Gauss-Newton subproblem: the model is replaced by its linearisation along K directions, the loss is not (as
in generalised Gauss-Newton, Schraudolph 2002). The directions are alike, so one penalty serves all; its strength, in
units of their mean curvature, is that of least loss by cross-validation over the rows.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

import numpy as np

from seedtune.runtime.start.newton import FOLDS, Doubles, Labels, cross_validated, log_softmax, minimise, spread_folds

# From next to no step to next to no penalty.
STRENGTHS = tuple(10.0**exponent for exponent in np.arange(3, -4.5, -0.5))


@dataclass(frozen=True)
class Differences:
    """What the directions do to the scores of N rows, as a `Design`; the last label's score is 0 everywhere.

    Attributes:
        base: scores of the other labels at the state, [N, L - 1].
        slopes: of them along each direction, [N, L - 1, K].
        labels: [N], 0 to L - 1.
    """

    base: Doubles
    slopes: Doubles
    labels: Labels

    def scores(self, parameters: Doubles) -> Doubles:
        """See `Design`; the parameters are c, [K]."""
        return _with_last(self.base + self.slopes @ parameters)

    def moved(self, direction: Doubles) -> Doubles:
        """See `Design`."""
        return _with_last(self.slopes @ direction)

    def transposed(self, of_scores: Doubles) -> Doubles:
        """See `Design`."""
        flat: Doubles = of_scores[:, :-1].reshape(-1) @ self.slopes.reshape(-1, self.slopes.shape[2])
        return flat

    def curvature(self, weights: Doubles, probabilities: Doubles) -> Doubles:
        """See `Design`: the diagonal itself."""
        used = probabilities[:, None, :-1]
        squares = (used @ (self.slopes * self.slopes))[:, 0]
        means = (used @ self.slopes)[:, 0]
        diagonal: Doubles = weights @ (squares - means * means)
        return diagonal


def relative(log_probabilities: Doubles) -> Doubles:
    """Scores against that of the last label, [N, L] -> [N, L - 1]: what all labels share changes no probability."""
    return log_probabilities[:, :-1] - log_probabilities[:, -1:]


def solve(rows: Differences, seed: int) -> Doubles:
    """The coefficient of each direction, [K]; zeros where no direction changes a probability.

    Args:
        rows: at least two.
        seed: decides the folds of the cross-validation.
    """
    count, zero = len(rows.labels), np.zeros(rows.slopes.shape[2])
    ones = np.ones(count)
    curvature = float(rows.curvature(ones, np.exp(log_softmax(rows.scores(zero)))).mean())
    if curvature <= 0.0:
        return zero
    # So that a strength of 1 weighs as much as the rows.
    scaled = dataclasses.replace(rows, slopes=rows.slopes / np.sqrt(curvature / count))

    def fitted(learnt: Doubles, strength: float, start: Doubles) -> Doubles:
        return minimise(scaled, learnt, np.full(len(zero), strength * learnt.sum()), zero, start)

    folds = spread_folds(rows.labels, min(FOLDS, count), seed)
    _, strength, _ = cross_validated(scaled, fitted, folds, STRENGTHS, zero)
    solution: Doubles = fitted(ones, strength, zero) / np.sqrt(curvature / count)
    return solution


def _with_last(scores: Doubles) -> Doubles:
    return np.concatenate([scores, np.zeros((len(scores), 1))], axis=1)
