"""Multinomial logistic regression beside given scores, by Newton's method with conjugate gradients, in float64.

    scores = a lm + Z W^T + b,    minimise  sum_i w_i NLL_i + l2 / 2 |W|^2 + TETHER / 2 ((a - 1)^2 + |b|^2)

Smaller than scikit-learn's: nothing but this model, dense, without an object (Hastie, Tibshirani and Friedman 2009,
section 4.4; Newton-CG as Nocedal and Wright 2006, algorithm 7.1). W alone is what ``l2`` holds back. The tether of a
and b is a thousandth of a row's curvature: they are free, but where rows can be told apart without error, finite.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Doubles = npt.NDArray[np.float64]
TETHER = 1e-3
NEWTON_STEPS, INNER_STEPS, HALVINGS = 60, 100, 30
# Of the decrement, which estimates how far a mean loss is above its minimum.
TOLERANCE = 1e-9


@dataclass(frozen=True)
class Rows:
    """N rows of r features and L labels; features have no common scale but mean 0.

    Attributes:
        features: Z, [N, r].
        scores: lm, [N, L].
        labels: [N], 0 to L - 1.
        squares: the sum of squares of each feature, [r]: a guess of the curvature, on which speed depends, no result.
    """

    features: Doubles
    scores: Doubles
    labels: npt.NDArray[np.int64]
    squares: Doubles

    @property
    def shape(self) -> tuple[int, int]:
        """L and r."""
        return self.scores.shape[1], self.features.shape[1]


def untouched(rows: Rows) -> Doubles:
    """The parameters W, b and a, flat in this order, that leave the scores as they are, [L r + L + 1]."""
    labels, features = rows.shape
    start = np.zeros(labels * (features + 1) + 1)
    start[-1] = 1.0
    return start


def scores_of(rows: Rows, parameters: Doubles) -> Doubles:
    """``a lm + Z W^T + b``, [N, L]."""
    return _linear(rows, parameters)


def losses_of(scores: Doubles, labels: npt.NDArray[np.int64]) -> Doubles:
    """The negative log-probability of each row's label, [N]."""
    losses: Doubles = -_log_softmax(scores)[np.arange(len(labels)), labels]
    return losses


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
    centre = untouched(rows)
    total = weights.sum()
    truth = np.eye(labels)[rows.labels]
    parameters, value = start, _objective(rows, weights, penalty, centre, start)
    for _ in range(NEWTON_STEPS):
        probabilities = np.exp(_log_softmax(_linear(rows, parameters)))
        gradient = _transposed(rows, weights[:, None] * (probabilities - truth)) + penalty * (parameters - centre)
        curvature = _curvature(rows, weights, probabilities, penalty)
        if gradient @ (gradient / curvature) <= TOLERANCE * total:
            break
        step = _newton_step(rows, weights, probabilities, penalty, gradient, curvature)
        slope, length = gradient @ step, 1.0
        for _ in range(HALVINGS):
            after = _objective(rows, weights, penalty, centre, parameters + length * step)
            if after <= value + 1e-4 * length * slope:
                break
            length /= 2
        else:
            break
        parameters, value = parameters + length * step, after
    return parameters


def _newton_step(
    rows: Rows, weights: Doubles, probabilities: Doubles, penalty: Doubles, gradient: Doubles, curvature: Doubles
) -> Doubles:
    """Minus the inverse of the Hessian times ``gradient``, by conjugate gradients preconditioned with ``curvature``."""
    step, residual = np.zeros_like(gradient), -gradient
    scaled = residual / curvature
    direction, square = scaled, residual @ scaled
    target = min(0.25, square**0.25 / max(weights.sum(), 1.0) ** 0.25) ** 2 * square
    for _ in range(INNER_STEPS):
        moved = _linear(rows, direction)
        turned = probabilities * (moved - (probabilities * moved).sum(axis=1, keepdims=True))
        product = _transposed(rows, weights[:, None] * turned) + penalty * direction
        length = square / (direction @ product)
        step = step + length * direction
        residual = residual - length * product
        scaled = residual / curvature
        before, square = square, residual @ scaled
        if square <= target:
            break
        direction = scaled + square / before * direction
    return step


def _curvature(rows: Rows, weights: Doubles, probabilities: Doubles, penalty: Doubles) -> Doubles:
    """The diagonal of the Hessian, as if every feature had the same weight of every row."""
    spread = weights @ (probabilities * (1 - probabilities))
    of_weights = np.outer(spread, rows.squares) / len(weights)
    mean = (probabilities * rows.scores).sum(axis=1, keepdims=True)
    of_scale = weights @ (probabilities * (rows.scores - mean) ** 2).sum(axis=1)
    return np.concatenate([of_weights.reshape(-1), spread, [of_scale]]) + penalty


def _objective(rows: Rows, weights: Doubles, penalty: Doubles, centre: Doubles, parameters: Doubles) -> float:
    losses = losses_of(_linear(rows, parameters), rows.labels)
    return float(weights @ losses + penalty @ (parameters - centre) ** 2 / 2)


def _linear(rows: Rows, parameters: Doubles) -> Doubles:
    """Parameters -> scores, [N, L]."""
    labels, features = rows.shape
    weight = parameters[: labels * features].reshape(labels, features)
    scores: Doubles = parameters[-1] * rows.scores + rows.features @ weight.T + parameters[-1 - labels : -1]
    return scores


def _transposed(rows: Rows, of_scores: Doubles) -> Doubles:
    """A slope by each score [N, L] -> the slope by each parameter."""
    of_weights = of_scores.T @ rows.features
    return np.concatenate([of_weights.reshape(-1), of_scores.sum(axis=0), [(of_scores * rows.scores).sum()]])


def _log_softmax(scores: Doubles) -> Doubles:
    shifted = scores - scores.max(axis=1, keepdims=True)
    result: Doubles = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
    return result
