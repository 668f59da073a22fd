"""Linear evaluation: logistic regression on frozen features, as the literature measures embeddings of nodes."""

from __future__ import annotations

import warnings
from collections.abc import Mapping

import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import f1_score
from sklearn.model_selection import KFold, cross_val_score
from threadpoolctl import threadpool_limits

from seedtune.exporter.recipes.graph.adjacency import Floats, unit_rows
from seedtune.exporter.recipes.graph.graph import SPLITS, Graph, Integers

STRENGTHS = (0.1, 1.0, 10.0, 100.0, 1000.0)
FOLDS = 3
# Of a graph that comes without splits: train, validation; the rest is the test.
SHARES = (0.1, 0.1)


def splits_of(graph: Graph, seed: int) -> dict[str, Integers]:
    """The graph's own splits without nodes that nobody labelled; a random 1:1:8 where it has none."""
    if any(len(numbers) for numbers in graph.splits.values()):
        given = {name: graph.splits.get(name, np.empty(0, np.int64)) for name in SPLITS}
        return {name: numbers[graph.labels[numbers] >= 0] for name, numbers in given.items()}
    return random_splits(graph.labels, seed, SHARES)


def random_splits(labels: Integers, seed: int, shares: tuple[float, float]) -> dict[str, Integers]:
    """Labelled nodes at random: ``shares`` for train and validation, the rest for the test."""
    order = np.random.default_rng(seed).permutation(np.flatnonzero(labels >= 0))
    first = round(shares[0] * len(order))
    second = first + round(shares[1] * len(order))
    parts = (order[:first], order[first:second], order[second:])
    return {name: np.sort(part) for name, part in zip(SPLITS, parts, strict=True)}


def linear_evaluation(features: Floats, labels: Integers, splits: Mapping[str, Integers]) -> dict[str, float] | None:
    """Accuracy and macro-F1 on the test nodes of a classifier of rows of length 1, its strength chosen on others.

    Chosen by the validation nodes; where there are none, by cross-validation within the training nodes.

    Returns:
        ``accuracy`` and ``macro_f1``; None where a split is empty or the training nodes are of one class.
    """
    train, validation, test = (splits[name] for name in SPLITS)
    if not len(train) or not len(test) or len(np.unique(labels[train])) < 2:
        return None
    rows = unit_rows(features)
    with threadpool_limits(1), warnings.catch_warnings():
        # Of folds without one of the classes, which count as no score, and of fits cut short.
        warnings.simplefilter("ignore")
        scores = [_score(rows, labels, train, validation, strength) for strength in STRENGTHS]
        best = _classifier(STRENGTHS[int(np.argmax(scores))]).fit(rows[train], labels[train])
        predictions = best.predict(rows[test])
    return {
        "accuracy": float((predictions == labels[test]).mean()),
        "macro_f1": float(f1_score(labels[test], predictions, average="macro", zero_division=0)),
    }


def _classifier(strength: float) -> LogisticRegression:
    return LogisticRegression(C=strength, max_iter=300)


def _score(rows: Floats, labels: Integers, train: Integers, validation: Integers, strength: float) -> float:
    if len(validation):
        return float(_classifier(strength).fit(rows[train], labels[train]).score(rows[validation], labels[validation]))
    folds = KFold(min(FOLDS, len(train)), shuffle=True, random_state=0)
    return float(np.nanmean(cross_val_score(_classifier(strength), rows[train], labels[train], cv=folds)))
