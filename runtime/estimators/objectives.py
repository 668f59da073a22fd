"""What a two-sided probe measures of its rows: their mean loss, or a number that has no gradient.

    accuracy:  1 - share of rows whose most probable label is the right one
    f1:        1 - mean over the labels of F1 = 2 true positives / (rows of the label + predictions of it)

Both are steps as a function of the state, so their gradient is zero wherever it exists. What a probe measures is the
slope of the objective smoothed over the noise (Nesterov and Spokoiny 2017, section 2), which is not. A label that
neither rows nor predictions have counts as found. Of one batch F1 is an estimate of that of all rows, with a bias.
"""

from __future__ import annotations

from typing import Annotated, Literal, get_args

import numpy as np
import numpy.typing as npt
from msgspec import Meta

from seedtune.runtime.estimators.protocol import Doubles, Floats

Objective = Literal["loss", "accuracy", "f1"]
OBJECTIVES: tuple[str, ...] = get_args(Objective)
ObjectiveOption = Annotated[
    Objective,
    Meta(
        description="What is lowered: the loss; or the share of rows that are wrong, or 1 - macro F1, which have no "
        "gradient (classification only)."
    ),
]
Labels = npt.NDArray[np.int64]


def without_gradient(objective: Objective, log_probabilities: Floats, labels: Labels) -> float:
    """``accuracy`` or ``f1`` of rows as the module says, 0 to 1, the lower the better.

    Args:
        objective: not ``loss``.
        log_probabilities: [N, L].
        labels: [N].
    """
    return _of_predictions(objective, log_probabilities.argmax(axis=1), labels, log_probabilities.shape[1])


def row_values(objective: Objective, predictions: Labels, labels: Labels, count: int) -> Doubles:
    """Values of rows [N] in place of their losses, so that two models can be compared row by row, paired.

    Of ``accuracy`` 1 where a row is wrong. F1 is no mean over rows: its values are the jackknife's pseudo-values (Tukey
    1958, Annals of Mathematical Statistics 29:614), N v - (N - 1) v', v' being 1 - F1 without the row.

    Args:
        objective: not ``loss``.
        predictions: [N], the most probable labels.
        labels: [N].
        count: of the labels that there are.
    """
    if objective == "accuracy":
        wrong: Doubles = (predictions != labels).astype(np.float64)
        return wrong
    rows = len(labels)
    whole = _of_predictions(objective, predictions, labels, count)
    if rows == 1:
        return np.array([whole])
    values = np.empty(rows)
    # Rows of one label and one prediction are alike.
    kinds, places, which = np.unique(labels * count + predictions, return_index=True, return_inverse=True)
    for kind in range(len(kinds)):
        kept = np.arange(rows) != places[kind]
        without = _of_predictions(objective, predictions[kept], labels[kept], count)
        values[which == kind] = rows * whole - (rows - 1) * without
    return values


def _of_predictions(objective: Objective, predictions: Labels, labels: Labels, count: int) -> float:
    if objective == "accuracy":
        return int(np.count_nonzero(predictions != labels)) / len(labels)
    right = np.bincount(labels[predictions == labels], minlength=count).tolist()
    rows, predicted = (np.bincount(each, minlength=count).tolist() for each in (labels, predictions))
    # One after the other, as any language can add.
    total: float = 0.0
    for found, there, said in zip(right, rows, predicted, strict=True):
        total += 2.0 * found / (there + said) if there + said else 1.0
    return 1.0 - total / count
