"""The closed form: a linear probe of the hidden state beside the label scores, its strength by cross-validation.

Features are hidden states at unit length, standardised and turned to their principal axes, which changes no solution
and makes the solver quick. The label scores of the language model are one more feature, whose coefficient nothing holds
back: with the strongest penalty there remain the model's own scores, calibrated.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from seedtune.runtime.noise import derive_seed, permutation
from seedtune.runtime.start.logistic import Rows, fit, untouched
from seedtune.runtime.start.newton import FOLDS, Doubles, Labels, cross_validated, losses_of, spread_folds

Floats = npt.NDArray[np.float32]
# L2 strengths a row, from very strong to weak: the first leaves the calibrated model.
STRENGTHS = (1e4, *(10.0**exponent for exponent in np.arange(2, -4.5, -0.5)))
# Features that vary less than this (hidden states have unit length) say nothing but rounding.
LEAST_DEVIATION = 1e-6
# Values of hidden states that are learnt from, at most: 3,640 rows of 576. More rows would take more memory than steps.
MOST_VALUES: int = 1 << 21


@dataclass(frozen=True)
class Probe:
    """A solution.

    Attributes:
        values: W, b and s as a head has them in the state, [L H + L + 1] float32.
        strength: the L2 penalty a row that was chosen.
        rows: learnt from.
        accuracy: by cross-validation.
        loss: by cross-validation; nats.
        loss_before: of the untouched model on the same rows.
    """

    values: Floats
    strength: float
    rows: int
    accuracy: float
    loss: float
    loss_before: float


def too_few(labels: Labels, count: int) -> int | None:
    """The label, of ``count``, that fewer than two of ``labels`` [N] are, so that nothing can be learnt; or None."""
    counts = np.bincount(labels, minlength=count)
    rare = int(counts.argmin())
    return rare if counts[rare] < 2 else None


def chosen_rows(labels: Labels, features: int, seed: int, most_values: int = MOST_VALUES) -> Labels:
    """The places of the rows to learn from: all, or where that takes too much memory as many of each label as fit.

    Args:
        labels: of all training rows, [N].
        features: H.
        seed: of the run.
        most_values: the rows that are chosen have so many features at most.
    """
    most = max(most_values // features, 2 * (int(labels.max(initial=0)) + 1))
    if len(labels) <= most:
        return np.arange(len(labels))
    order = permutation(derive_seed(seed, "start_rows"), len(labels))
    rank = np.empty(len(labels), np.int64)
    for label in np.unique(labels):
        members = order[labels[order] == label]
        # Evenly spread over 0 to 1, so that any beginning has all labels in their shares.
        rank[members] = np.arange(len(members)) * len(labels) // len(members)
    return np.sort(np.lexsort((labels, rank))[:most])


def solve(hidden: Floats, log_probabilities: Floats, labels: Labels, seed: int) -> Probe:
    """The probe with the strength of least loss by stratified cross-validation.

    Args:
        hidden: what the language-model head of the untouched model reads, [N, H].
        log_probabilities: of the labels by the untouched model, [N, L].
        labels: [N]; see :func:`too_few`.
        seed: of the run; decides the folds.
    """
    rows, axes, centre = _prepared(hidden, log_probabilities, labels)
    count = min(FOLDS, int(np.bincount(labels).min()))
    folds = spread_folds(labels, count, derive_seed(seed, "start_folds"))

    def fitted(learnt: Doubles, strength: float, start: Doubles) -> Doubles:
        return fit(rows, learnt, strength * learnt.sum(), start)

    loss, strength, accuracy = cross_validated(rows, fitted, folds, STRENGTHS, untouched(rows))
    start = untouched(rows)
    for each in (each for each in STRENGTHS if each >= strength):
        start = fit(rows, np.ones(len(labels)), each * len(labels), start)
    before = float(losses_of(rows.given, labels).mean())
    return Probe(_folded_back(start, axes, centre, rows.shape[0]), strength, len(labels), accuracy, loss, before)


def _prepared(hidden: Floats, log_probabilities: Floats, labels: Labels) -> tuple[Rows, Doubles, Doubles]:
    """Rows for the solver; the axes [H, r], by which centred features of unit length are multiplied; the centre [H]."""
    unit = hidden.astype(np.float64)
    unit /= np.maximum(np.sqrt((unit * unit).sum(axis=1, keepdims=True)), 1e-12)
    centre = unit.mean(axis=0)
    unit -= centre
    deviation = np.sqrt((unit * unit).mean(axis=0))
    unit *= np.where(deviation > LEAST_DEVIATION, 1 / np.maximum(deviation, LEAST_DEVIATION), 0.0)
    few = len(unit) < unit.shape[1]
    squares, turned = np.linalg.eigh(unit @ unit.T if few else unit.T @ unit)
    used = squares > 1e-9 * max(float(squares[-1]), 1e-300)
    squares, turned = squares[used], turned[:, used]
    axes = unit.T @ (turned / np.sqrt(squares)) if few else turned
    features = unit @ axes
    axes = axes / np.where(deviation > LEAST_DEVIATION, deviation, np.inf)[:, None]
    scores = log_probabilities.astype(np.float64)
    scores -= scores.mean(axis=1, keepdims=True)
    return Rows(features, scores, labels, squares), axes, centre


def _folded_back(parameters: Doubles, axes: Doubles, centre: Doubles, labels: int) -> Floats:
    """Parameters over axes -> W, b and s over hidden states at unit length."""
    weight = parameters[: -labels - 1].reshape(labels, -1) @ axes.T
    bias = parameters[-labels - 1 : -1] - weight @ centre
    # What all labels share changes no probability.
    bias -= bias.mean()
    return np.concatenate([weight.reshape(-1), bias, parameters[-1:] - 1.0]).astype(np.float32)
