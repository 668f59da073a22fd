"""Runs of heads over features, which the engine makes again: journal, evaluations, and the groups that steps see."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from golden import write_json
from sklearn.datasets import load_digits

import seedtune
from seedtune.events import Finished
from seedtune.runtime.bundle.heads import Contrastive
from seedtune.runtime.bundle.reader import Bundle
from seedtune.runtime.heads.coupled import CoupledRows
from seedtune.runtime.heads.rows import open_rows

# Name -> objective, and options of the export.
CASES: dict[str, tuple[str, dict[str, Any]]] = {
    "contrastive": ("contrastive", {"negatives": 40}),
    "info-nce": ("contrastive", {"negatives": 40, "collision_fix": False, "imbalance_fix": False, "form": "diagonal"}),
    "heads": ("heads", {"form": "low-rank", "rank": 3}),
}
SETTINGS: dict[str, Any] = {"steps": 40, "batch_size": 12, "seed": 11, "eval_every": 20, "learning_rate": 5e-3}
ROWS = 300


def write_heads(folder: Path) -> None:
    """heads.json, and a RUN folder and a bundle for each of CASES."""
    folder.mkdir()
    for name, (objective, options) in CASES.items():
        source, bundle, run = folder / f"{name}.npz", folder / "bundles" / name, folder / "runs" / name
        arrays: dict[str, Any] = {**(_digits() if objective == "contrastive" else _halves())}
        np.savez(source, **arrays)
        seedtune.export(source, objective=objective, out=bundle, **options)
        with seedtune.open(bundle, threads=1) as model:
            *_, last = model.tune(out=run, **SETTINGS, optimizer="momentum" if objective == "heads" else "normalised")
        assert isinstance(last, Finished)
        info = {"bundle": str(bundle), "train": "", "eval": "", "state_sha256": last.result.state_sha256}
        write_json(run / "info.json", info | {"groups": _groups(bundle)})
    write_json(folder / "heads.json", list(CASES))


def _groups(bundle: Path) -> list[dict[str, Any]]:
    """The rows of a few steps, some of them far on."""
    rows = open_rows(Bundle.open(bundle))
    if not isinstance(rows.objective.loss, Contrastive):
        return []
    feeder = CoupledRows(rows, rows.objective.loss)
    steps = [(0, 0), (11, 7), (2**32 - 1, 123_456)]
    return [{"seed": seed, "step": step, "rows": feeder.group(seed, step, 9).tolist()} for seed, step in steps]


def _digits() -> dict[str, np.ndarray]:
    found = load_digits()
    labels = found.target[:ROWS].astype(np.int64)
    # Rows without a label and without a positive, and clusters of several sizes.
    labels[::17] = -1
    neighbours = (np.arange(ROWS)[:, None] + np.array([1, 10, 20])) % ROWS
    counts = np.where(np.arange(ROWS) % 13 == 0, 0, 3)
    return {
        "features": (found.data[:ROWS] / 16).astype(np.float32),
        "labels": labels,
        "positives": neighbours[counts > 0].reshape(-1),
        "positive_offsets": np.concatenate([[0], np.cumsum(counts)]),
        "clusters": np.minimum(np.arange(ROWS) // 60, 2),
    }


def _halves() -> dict[str, np.ndarray]:
    """The upper half of a digit as robust features, the lower one as the others; twins have noise in the latter."""
    found = load_digits()
    pixels, labels = (found.data[:ROWS] / 16).astype(np.float32), found.target[:ROWS].astype(np.int64)
    generator = np.random.default_rng(8)
    upper, lower = pixels[:, :32], pixels[:, 32:]
    arrays = {
        "z_robust": upper,
        "z_non_robust": lower,
        "z_robust_adversarial": upper + generator.normal(0, 0.02, upper.shape).astype(np.float32),
        "z_non_robust_adversarial": lower[generator.permutation(ROWS)],
        "adversarial_targets": np.where(np.arange(ROWS) % 9 == 0, -1, (labels + 1) % 10),
        "labels": labels,
        "train": np.arange(0, 180),
        "validation": np.arange(180, 240),
        "test": np.arange(240, ROWS),
    }
    for name, size in (("robust", 32), ("non_robust", 32), ("joint", 64)):
        arrays[f"w_{name}"] = generator.normal(0, 0.3, (10, size)).astype(np.float32)
        arrays[f"b_{name}"] = generator.normal(0, 0.1, 10).astype(np.float32)
    return arrays
