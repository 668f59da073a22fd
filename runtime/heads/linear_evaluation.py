"""Linear evaluation: how well a logistic regression over embeddings of training rows tells the classes of others.

The regression is that of a run's linear probe (`runtime/start`), without scores of a language model beside it: rows at
unit length, standardised; its strength by cross-validation over the training rows alone.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from seedtune.runtime.start.linear_probe import chosen_rows, solve, too_few
from seedtune.runtime.start.newton import log_softmax

Floats = npt.NDArray[np.float32]
Integers = npt.NDArray[np.int64]
# Of its folds: the same for every run, so that runs can be compared.
SEED = 0


def can_be_learnt(labels: Integers, classes: int) -> bool:
    """Whether there are two rows or more of each of ``classes`` classes among ``labels`` [N]."""
    return classes > 1 and too_few(labels, classes) is None


def linear_evaluation(embeddings: Floats, labels: Integers, others: Floats, classes: int) -> Floats:
    """The log-probability of each class for each of ``others``.

    Args:
        embeddings: of the training rows, [N, d].
        labels: of them, [N]; see :func:`can_be_learnt`.
        others: [M, d].
        classes: C.

    Returns:
        [M, C] float32.
    """
    features = embeddings.shape[1]
    learnt = chosen_rows(labels, features, SEED)
    given = np.zeros((len(learnt), classes), np.float32)
    values = solve(embeddings[learnt], given, labels[learnt], SEED).values.astype(np.float64)
    weight, bias = values[: classes * features].reshape(classes, features), values[classes * features : -1]
    unit = others.astype(np.float64)
    unit /= np.maximum(np.sqrt((unit * unit).sum(axis=1, keepdims=True)), 1e-12)
    return log_softmax(unit @ weight.T + bias).astype(np.float32)
