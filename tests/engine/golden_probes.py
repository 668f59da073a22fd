"""Linear probes that the Kotlin engine must solve for again: more rows than features, fewer, and six labels."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from seedtune.runtime.start.linear_probe import chosen_rows, solve

# rows, features, labels
CASES = ((90, 12, 3), (30, 48, 2), (120, 20, 6))


def write_probes(path: Path) -> None:
    """What each case was made of, and what came of it."""
    cases = []
    for rows, features, labels in CASES:
        generator = np.random.default_rng(rows)
        truth = generator.permutation(np.arange(rows) % labels)
        means = generator.standard_normal((labels, features))
        hidden = ((generator.standard_normal((rows, features)) + means[truth]) * 7 + 20).astype(np.float32)
        scores = generator.standard_normal((rows, labels)) + np.eye(labels)[truth]
        log_probabilities = (scores - np.log(np.exp(scores).sum(axis=1, keepdims=True))).astype(np.float32)
        probe = solve(hidden, log_probabilities, truth, seed=rows)
        cases.append(
            {
                "hidden": hidden.tolist(),
                "log_probabilities": log_probabilities.tolist(),
                "labels": truth.tolist(),
                "seed": rows,
                "values": probe.values.tolist(),
                "strength": probe.strength,
                "accuracy": probe.accuracy,
                "loss": probe.loss,
                "loss_before": probe.loss_before,
                "chosen": chosen_rows(truth, features, rows, features * (rows // 2)).tolist(),
            }
        )
    path.write_text(json.dumps(cases), encoding="utf-8")
