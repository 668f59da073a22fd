"""Compares a bundle with transformers' own forward pass, plain and perturbed.

The reference loads the checkpoint by transformers alone. Two quantities are compared, both over the label words:
log-probabilities of the untouched model (eval graph, state zero), and losses of both sides of a perturbation (probe
graph, random state) against a reference whose weights were changed to ``W + (B +- epsilon Z) A``.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch

from seedtune.exporter.checkpoint import Checkpoint
from seedtune.exporter.targets import lora_a_values
from seedtune.runtime.bundle.manifest import CheckResult, Manifest
from seedtune.runtime.bundle.reader import Bundle
from seedtune.runtime.errors import SeedTuneError
from seedtune.runtime.noise import rademacher

ROWS, MAX_TOKENS = 4, 24
EPSILON, SEED, STATE_SCALE = 1e-2, 20240229, 1e-2
# Guessed with a wide margin over what the tested families show (fp32: below 1e-4; fp16: below 2e-2).
ALLOWED = {"fp32": 2e-3, "fp16": 1e-1}


def check_bundle(path: Path, checkpoint: Checkpoint) -> CheckResult:
    """Runs the comparison for the bundle at ``path``.

    Raises:
        SeedTuneError: the bundle and transformers disagree by more than the storage type explains.
    """
    bundle = Bundle.open(path, verify_weights=False)
    manifest = bundle.manifest
    rows = _random_rows(manifest)
    reference = checkpoint.reference()
    layout = manifest.state
    generator = np.random.default_rng(SEED)
    zero = np.zeros(layout.parameters, np.float32)
    state = (STATE_SCALE * generator.standard_normal(layout.parameters)).astype(np.float32)

    session = bundle.session("eval")
    (log_probabilities,) = session.run(["log_probabilities"], rows | {"state": zero})
    plain_error = _difference(log_probabilities, _reference_scores(reference, rows, manifest))
    del session

    session = bundle.session("probe")
    feeds = rows | {
        "state": state,
        "seed": np.array([SEED], np.uint32),
        "epsilon": np.array([EPSILON], np.float32),
    }
    sides = session.run(["loss_plus", "loss_minus"], feeds)
    del session
    noise = rademacher(SEED, layout.parameters)
    originals = {target.name: reference.get_parameter(f"{target.name}.weight") for target in layout.targets}
    perturbed_error = 0.0
    for losses, sign in zip(sides, (1.0, -1.0), strict=True):
        _set_weights(reference, originals, manifest, state + np.float32(sign * EPSILON) * noise)
        expected = -np.take_along_axis(
            _reference_scores(reference, rows, manifest), rows["label"][:, None], axis=1
        ).reshape(-1)
        perturbed_error = max(perturbed_error, _difference(losses, expected))

    result = CheckResult(ROWS, plain_error, perturbed_error, ALLOWED[manifest.storage])
    worst = max(plain_error, perturbed_error)
    if not worst <= result.allowed:
        raise SeedTuneError(
            "the exported graphs do not compute what transformers computes; no bundle was written",
            value=f"log-probabilities differ by {plain_error:.3g}, perturbed losses by {perturbed_error:.3g}",
            rule=f"at most {result.allowed} for storage {manifest.storage}",
            remedy="report the model's name and these figures"
            + ("; --storage fp32 may help" if manifest.storage != "fp32" else ""),
        )
    return result


def _random_rows(manifest: Manifest) -> dict[str, np.ndarray]:
    """Rows of different lengths with random token ids, padded on the right; fed to both implementations."""
    generator = np.random.default_rng(SEED)
    longest = min(MAX_TOKENS, manifest.model.max_positions)
    lengths = generator.integers(max(2, longest // 3), longest + 1, ROWS)
    lengths[0] = longest
    ids = np.full((ROWS, longest), manifest.model.padding_id, np.int64)
    for row, length in enumerate(lengths):
        choices = np.setdiff1d(
            generator.integers(0, manifest.model.vocabulary_size, 4 * length), [manifest.model.padding_id]
        )
        ids[row, :length] = generator.choice(choices, length)
    mask = (np.arange(longest)[None] < lengths[:, None]).astype(np.int64)
    position = lengths - 1 if manifest.model.family == "causal" else generator.integers(0, lengths)
    labels = generator.integers(0, len(manifest.label_word_ids), ROWS)
    return {"ids": ids, "mask": mask, "position": position.astype(np.int64), "label": labels.astype(np.int64)}


def _reference_scores(model: torch.nn.Module, rows: dict[str, np.ndarray], manifest: Manifest) -> np.ndarray:
    """Log-softmax over the label words at the label position, [B, L], by transformers."""
    with torch.no_grad():
        logits = model(input_ids=torch.from_numpy(rows["ids"]), attention_mask=torch.from_numpy(rows["mask"])).logits
    at_position = logits[torch.arange(len(rows["position"])), torch.from_numpy(rows["position"])]
    scores = at_position[:, list(manifest.label_word_ids)].float()
    return torch.log_softmax(scores, dim=-1).numpy()


def _set_weights(
    model: torch.nn.Module, originals: Mapping[str, torch.Tensor], manifest: Manifest, state: np.ndarray
) -> None:
    """Every target's weight becomes ``W + B A`` with B from ``state`` [n]; Conv1D layers keep W as [i, o]."""
    lora_a = lora_a_values(manifest.state)
    for target in manifest.state.targets:
        size = target.out_features * target.rank
        b = state[target.offset : target.offset + size].reshape(target.out_features, target.rank)
        change = torch.from_numpy(b @ lora_a[target.lora_a])
        original = originals[target.name]
        layer = model.get_submodule(target.name)
        transposed = type(layer).__name__ == "Conv1D"
        layer.weight = torch.nn.Parameter(original + (change.T if transposed else change), requires_grad=False)


def _difference(found: np.ndarray, expected: np.ndarray) -> float:
    """Largest absolute difference; NaN counts as infinite."""
    difference = float(np.abs(np.asarray(found, np.float64) - np.asarray(expected, np.float64)).max())
    return difference if np.isfinite(difference) else float("inf")
