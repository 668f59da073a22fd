"""Softmax regression over any linear design, by Newton's method with conjugate gradients, in float64.

    scores = offset + design(parameters),   minimise  sum_i w_i NLL_i + 1/2 sum_j penalty_j (parameters_j - centre_j)^2

Newton-CG as Nocedal and Wright 2006, algorithm 7.1, with a diagonal preconditioner. The strength of a penalty is chosen
by cross-validation: every row is scored by a fit that has not seen it (Hastie, Tibshirani and Friedman 2009, 7.10).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

import numpy as np
import numpy.typing as npt

from seedtune.runtime.noise import permutation

Doubles = npt.NDArray[np.float64]
Labels = npt.NDArray[np.int64]
NEWTON_STEPS, INNER_STEPS, HALVINGS = 60, 100, 30
# Of the decrement, which estimates how far a mean loss is above its minimum.
TOLERANCE = 1e-9
FOLDS = 5
# The grid is left when the loss of cross-validation has risen so often: weaker penalties cost most and fit worse.
RISES = 3
# (rows that count [N], strength, start) -> parameters.
Fit = Callable[[Doubles, float, Doubles], Doubles]


class Design(Protocol):
    """How N rows turn parameters into scores of L labels."""

    @property
    def labels(self) -> Labels:
        """Of each row, [N], 0 to L - 1."""
        ...

    def scores(self, parameters: Doubles) -> Doubles:
        """[N, L], the offset included."""
        ...

    def moved(self, direction: Doubles) -> Doubles:
        """How far the scores move along ``direction``, [N, L]: without the offset."""
        ...

    def transposed(self, of_scores: Doubles) -> Doubles:
        """A slope by each score [N, L] -> the slope by each parameter."""
        ...

    def curvature(self, weights: Doubles, probabilities: Doubles) -> Doubles:
        """A guess of the diagonal of the Hessian, without the penalty: speed depends on it, no result."""
        ...


def minimise(design: Design, weights: Doubles, penalty: Doubles, centre: Doubles, start: Doubles) -> Doubles:
    """The parameters of least loss.

    Args:
        design: of the rows.
        weights: of each row, [N]; 0 leaves it out.
        penalty: of each parameter.
        centre: what the penalty draws them to.
        start: where to begin; a solution for another penalty saves steps.
    """
    total = weights.sum()
    truth = np.zeros((len(design.labels), design.scores(start).shape[1]))
    truth[np.arange(len(truth)), design.labels] = 1.0
    parameters, value = start, _objective(design, weights, penalty, centre, start)
    for _ in range(NEWTON_STEPS):
        probabilities = np.exp(log_softmax(design.scores(parameters)))
        gradient = design.transposed(weights[:, None] * (probabilities - truth)) + penalty * (parameters - centre)
        curvature = design.curvature(weights, probabilities) + penalty
        if gradient @ (gradient / curvature) <= TOLERANCE * total:
            break
        step = _newton_step(design, weights, probabilities, penalty, gradient, curvature)
        slope, length = gradient @ step, 1.0
        for _ in range(HALVINGS):
            after = _objective(design, weights, penalty, centre, parameters + length * step)
            if after <= value + 1e-4 * length * slope:
                break
            length /= 2
        else:
            break
        parameters, value = parameters + length * step, after
    return parameters


def _newton_step(
    design: Design, weights: Doubles, probabilities: Doubles, penalty: Doubles, gradient: Doubles, curvature: Doubles
) -> Doubles:
    """Minus the inverse of the Hessian times ``gradient``, by conjugate gradients preconditioned with ``curvature``."""
    step, residual = np.zeros_like(gradient), -gradient
    scaled = residual / curvature
    direction, square = scaled, residual @ scaled
    target = min(0.25, square**0.25 / max(weights.sum(), 1.0) ** 0.25) ** 2 * square
    for _ in range(INNER_STEPS):
        moved = design.moved(direction)
        turned = probabilities * (moved - (probabilities * moved).sum(axis=1, keepdims=True))
        product = design.transposed(weights[:, None] * turned) + penalty * direction
        length = square / (direction @ product)
        step = step + length * direction
        residual = residual - length * product
        scaled = residual / curvature
        before, square = square, residual @ scaled
        if square <= target:
            break
        direction = scaled + square / before * direction
    return step


def _objective(design: Design, weights: Doubles, penalty: Doubles, centre: Doubles, parameters: Doubles) -> float:
    losses = losses_of(design.scores(parameters), design.labels)
    return float(weights @ losses + penalty @ (parameters - centre) ** 2 / 2)


def losses_of(scores: Doubles, labels: Labels) -> Doubles:
    """The negative log-probability of each row's label, [N]."""
    losses: Doubles = -log_softmax(scores)[np.arange(len(labels)), labels]
    return losses


def log_softmax(scores: Doubles) -> Doubles:
    """Over the labels of each row, [N, L]."""
    shifted = scores - scores.max(axis=1, keepdims=True)
    result: Doubles = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
    return result


def spread_folds(labels: Labels, count: int, seed: int) -> Labels:
    """The fold of each row, [N]: each label spread evenly over ``count`` folds, in an order drawn from ``seed``."""
    order = permutation(seed, len(labels))
    folds = np.empty(len(labels), np.int64)
    begin = 0
    for label in np.unique(labels):
        members = order[labels[order] == label]
        folds[members] = (begin + np.arange(len(members))) % count
        # So that the odd rows of each label do not all fall into the first folds.
        begin += len(members)
    return folds


def cross_validated(
    design: Design, fit: Fit, folds: Labels, strengths: Sequence[float], start: Doubles
) -> tuple[float, float, float]:
    """The least mean loss of rows that a fit has not seen, the strength that it is of, and the accuracy there.

    Args:
        design: of the rows.
        fit: of those rows that count, at a strength.
        folds: of each row, [N].
        strengths: from strong to weak; each fit begins at that of the one before.
        start: where the first begins.
    """
    starts = [start] * (int(folds.max()) + 1)
    found: list[tuple[float, float, float]] = []
    for strength in strengths:
        scores = np.empty_like(design.scores(start))
        for fold in range(len(starts)):
            starts[fold] = fit((folds != fold).astype(np.float64), strength, starts[fold])
            scores[folds == fold] = design.scores(starts[fold])[folds == fold]
        accuracy = float((scores.argmax(axis=1) == design.labels).mean())
        found.append((float(losses_of(scores, design.labels).mean()), strength, accuracy))
        if len(found) - 1 - found.index(min(found)) >= RISES:
            break
    return min(found)
