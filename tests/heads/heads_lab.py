"""Features for heads: scikit-learn's digits, and a small set with everything that the objective of heads needs."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression

Arrays = dict[str, np.ndarray]


def digits(rows: int = 600) -> Arrays:
    """``features`` [rows, 64] in 0..1 and ``labels`` of scikit-learn's digits, the first of them."""
    found = load_digits()
    return {
        "features": (found.data[:rows] / 16).astype(np.float32),
        "labels": found.target[:rows].astype(np.int64),
    }


@functools.cache
def robust(rows: int = 240, classes: int = 3, seed: int = 0) -> Arrays:
    """All arrays of the objective heads: the attack moves non-robust features to another class, and no robust ones.

    Some rows have no adversarial twin, and NaN where it would be.
    """
    generator = np.random.default_rng(seed)
    labels = generator.integers(0, classes, rows)
    targets = (labels + generator.integers(1, classes, rows)) % classes
    centres = {
        "z_robust": generator.standard_normal((classes, 6)),
        "z_non_robust": generator.standard_normal((classes, 5)),
    }
    found: Arrays = {"labels": labels}
    for name, centre in centres.items():
        moved = labels if name == "z_robust" else targets
        found[name] = (2 * centre[labels] + generator.standard_normal((rows, centre.shape[1]))).astype(np.float32)
        found[f"{name}_adversarial"] = (2 * centre[moved] + generator.standard_normal(found[name].shape)).astype(
            np.float32
        )
    bare = generator.random(rows) < 0.1
    found["adversarial_targets"] = np.where(bare, -1, targets)
    for name in centres:
        found[f"{name}_adversarial"][bare] = np.nan
    train, validation, test = np.split(generator.permutation(rows), [rows // 2, 3 * rows // 4])
    found |= {"train": train, "validation": validation, "test": test}
    inputs = {"robust": found["z_robust"], "non_robust": found["z_non_robust"]}
    inputs["joint"] = np.concatenate(list(inputs.values()), axis=1)
    for name, values in inputs.items():
        fitted = LogisticRegression(C=0.01).fit(values[train], labels[train])
        found[f"w_{name}"], found[f"b_{name}"] = (part.astype(np.float32) for part in (fitted.coef_, fitted.intercept_))
    return found


def saved(path: Path, arrays: Arrays, **changes: Any) -> Path:
    """``arrays`` with ``changes`` (None takes one away) as the file ``path``."""
    whole: dict[str, Any] = {**arrays, **changes}
    np.savez(path, **{name: values for name, values in whole.items() if values is not None})
    return path
