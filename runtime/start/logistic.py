"""Multinomial logistic regression beside given scores, in float64.

    scores = a lm + Z W^T + b,    minimise  sum_i w_i NLL_i + l2 / 2 |W|^2 + TETHER / 2 ((a - 1)^2 + |b|^2)

Smaller than scikit-learn's: nothing but this model, dense (Hastie, Tibshirani and Friedman 2009, section 4.4); the
solver is `newton.py`. W alone is what ``l2`` holds back. The tether of a and b is a thousandth of a row's curvature:
they are free, but where rows can be told apart without error, finite.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from seedtune.runtime.start.newton import Doubles, Labels, minimise

TETHER = 1e-3


@dataclass(frozen=True)
class Rows:
    """N rows of r features and L labels, as a `Design`; features have no common scale but mean 0.

    Attributes:
        features: Z, [N, r].
        given: lm, [N, L].
        labels: [N], 0 to L - 1.
        squares: the sum of squares of each feature, [r]: a guess of the curvature, on which speed depends, no result.
    """

    features: Doubles
    given: Doubles
    labels: Labels
    squares: Doubles

    @property
    def shape(self) -> tuple[int, int]:
        """L and r."""
        return self.given.shape[1], self.features.shape[1]

    def scores(self, parameters: Doubles) -> Doubles:
        """``a lm + Z W^T + b``, [N, L]; the model has no offset, so this is :meth:`moved` too."""
        labels, features = self.shape
        weight = parameters[: labels * features].reshape(labels, features)
        scores: Doubles = parameters[-1] * self.given + self.features @ weight.T + parameters[-1 - labels : -1]
        return scores

    moved = scores

    def transposed(self, of_scores: Doubles) -> Doubles:
        """See `Design`."""
        of_weights = of_scores.T @ self.features
        return np.concatenate([of_weights.reshape(-1), of_scores.sum(axis=0), [(of_scores * self.given).sum()]])

    def curvature(self, weights: Doubles, probabilities: Doubles) -> Doubles:
        """See `Design`: as if every feature had the same weight of every row."""
        spread = weights @ (probabilities * (1 - probabilities))
        of_weights = np.outer(spread, self.squares) / len(weights)
        mean = (probabilities * self.given).sum(axis=1, keepdims=True)
        of_scale = weights @ (probabilities * (self.given - mean) ** 2).sum(axis=1)
        return np.concatenate([of_weights.reshape(-1), spread, [of_scale]])


def untouched(rows: Rows) -> Doubles:
    """The parameters W, b and a, flat in this order, that leave the scores as they are, [L r + L + 1]."""
    labels, features = rows.shape
    start = np.zeros(labels * (features + 1) + 1)
    start[-1] = 1.0
    return start


def fit(rows: Rows, weights: Doubles, l2: float, start: Doubles) -> Doubles:
    """The parameters of least loss, as :func:`untouched` lays them out.

    Args:
        rows: to learn from.
        weights: of each row, [N]; 0 leaves it out.
        l2: of W.
        start: where to begin; a solution for another ``l2`` saves steps.
    """
    labels, features = rows.shape
    penalty = np.concatenate([np.full(labels * features, l2), np.full(labels + 1, TETHER)])
    return minimise(rows, weights, penalty, untouched(rows), start)
