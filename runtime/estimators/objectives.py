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

from seedtune.runtime.estimators.protocol import Floats

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
    predictions = log_probabilities.argmax(axis=1)
    if objective == "accuracy":
        return int(np.count_nonzero(predictions != labels)) / len(labels)
    count: int = log_probabilities.shape[1]
    right = np.bincount(labels[predictions == labels], minlength=count).tolist()
    rows, predicted = (np.bincount(each, minlength=count).tolist() for each in (labels, predictions))
    # One after the other, as any language can add.
    total: float = 0.0
    for found, there, said in zip(right, rows, predicted, strict=True):
        total += 2.0 * found / (there + said) if there + said else 1.0
    return 1.0 - total / count
